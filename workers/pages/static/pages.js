"use strict";
// The pages work without this. With it, their parts are fetched anew when the server says that their subject changed.

const subject = document.body.dataset.live;
const away = document.querySelector(".away");
const GAP = 1500; // milliseconds between two fetches
let source = null, wanted = false, fetching = false;

function busy(part) {
  const selected = document.getSelection();
  return part.contains(document.activeElement) && document.activeElement.matches("input, select, textarea")
    || Boolean(selected && !selected.isCollapsed && part.contains(selected.anchorNode));
}

async function refresh() {
  wanted = true;
  if (fetching) return;
  fetching = true;
  while (wanted && !document.hidden) {
    wanted = false;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (answer.ok) replace(await answer.text());
    } catch { /* the stream says when there is something to fetch again */ }
    await new Promise(done => setTimeout(done, GAP));
  }
  fetching = false;
}

function replace(text) {
  const fresh = new DOMParser().parseFromString(text, "text/html");
  for (const part of document.querySelectorAll("[data-part]")) {
    const other = fresh.getElementById(part.id);
    if (other && !busy(part) && other.innerHTML !== part.innerHTML) part.replaceWith(document.adoptNode(other));
  }
}

function listen() {
  if (!subject || source) return;
  source = new EventSource("/events");
  source.onmessage = message => {
    const changed = message.data.split(" ");
    away.hidden = !changed.includes("away");
    if (changed.includes(subject) || changed.includes("unconfirmed")) refresh();
  };
}

function stop() {
  if (source) source.close();
  source = null;
}

// A browser has six connections to a server: tabs that nobody looks at give theirs back.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return stop();
  listen();
  if (subject) refresh();
});
addEventListener("pagehide", stop);
listen();

for (const image of document.querySelectorAll(".thumb img, .original img")) {
  image.addEventListener("error", () => image.classList.add("missing"));
}
