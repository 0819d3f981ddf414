// What bide's pages add in the browser: links in the list of tasks, names of cells for phones, a question before Revoke.
(function () {
  "use strict";

  function link(text, address) {
    const made = document.createElement("a");
    made.textContent = text;
    made.href = address;
    return made;
  }

  function line(...content) {
    const made = document.createElement("div");
    made.append(...content);
    return made;
  }

  // The server has decided what a row links to: `job_page`, and each of `objects` with its address.
  function linkResult(cell, row) {
    if (!row.job_page) {
      return;
    }
    const objects = row.objects.map(([uri, address]) => line(link(uri, address)));
    cell.replaceChildren(...(objects.length ? objects : [line(row.result || "")]), line(link("job's page", row.job_page)));
  }

  // On a phone each row is a card, and its cells are named in it.
  function nameCells(table) {
    const headings = [...table.tHead.rows[0].cells].map((it) => it.textContent.trim());
    table.classList.add("bide-cards");
    for (const row of table.tBodies[0].rows) {
      if (row.cells.length === headings.length) {
        [...row.cells].forEach((cell, at) => { cell.dataset.label = headings[at]; });
      }
    }
  }

  document.querySelectorAll(".worker-tab-content table").forEach((table) => table.tHead && nameCells(table));

  $(document).on("draw.dt", function (event) {
    const result = [...event.target.tHead.rows[0].cells].findIndex((it) => it.dataset.column === "result");
    nameCells(event.target);
    if (result >= 0) {
      $(event.target).DataTable().rows({ page: "current" }).every(function () {
        linkResult(this.node().cells[result], this.data());
      });
    }
  });

  // Flower's own script listens at the button: this goes before it, and lets the click through once it is answered.
  document.addEventListener("click", async function (event) {
    const page = document.querySelector("#task-page[data-question]");
    const button = event.target.closest("#task-revoke, #task-terminate");
    if (!page || !button || button.dataset.answered) {
      return;
    }
    event.preventDefault();
    event.stopImmediatePropagation();
    let question = `It is not known whether job ${document.getElementById("taskid").textContent} is paid for.\n\nRevoke it?`;
    try {
      const answer = await fetch(page.dataset.question);
      if (answer.ok) {
        question = (await answer.json()).question;
      }
    } catch {
      // Flower is away: the question stays, and its own script says what became of the click
    }
    if (!question || window.confirm(question)) {
      button.dataset.answered = "yes";
      button.click();
      delete button.dataset.answered;
    }
  }, true);
}());
