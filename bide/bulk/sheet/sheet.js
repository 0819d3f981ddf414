"use strict";
const tiles = [...document.querySelectorAll(".tile")];
const search = document.querySelector(".find input");

function show() {
  const state = document.querySelector(".filter input:checked").value;
  const words = search.value.toLowerCase();
  let left = 0;
  for (const tile of tiles) {
    const prompt = tile.querySelector(".prompt").title.toLowerCase();
    tile.hidden = Boolean(state && tile.dataset.state !== state) || !prompt.includes(words);
    left += !tile.hidden;
  }
  document.querySelector(".none").hidden = left > 0;
}

document.querySelector(".tools").addEventListener("input", show);
document.querySelector(".filter").hidden = document.querySelector(".find").hidden = false;
show();
