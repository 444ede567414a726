"use strict";
// Comfort only: every page works without it.
document.addEventListener("keydown", (event) => {
  const typing = event.target instanceof Element && event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const search = document.getElementById("search");
  if (search) {
    event.preventDefault();
    search.focus();
    search.select();
  }
});
for (const time of document.querySelectorAll("time[datetime]")) {
  time.title = new Date(time.dateTime).toLocaleString(document.documentElement.lang);
}
for (const picker of document.querySelectorAll("input[type=file][data-into]")) {
  picker.hidden = false;
  picker.addEventListener("change", async () => {
    const into = document.getElementById(picker.dataset.into);
    if (into && picker.files.length) into.value = await picker.files[0].text();
  });
}
for (const choice of document.querySelectorAll("button[data-reason]")) {
  choice.hidden = false;
  choice.addEventListener("click", () => {
    const reason = choice.form.elements.reason;
    reason.value = choice.dataset.reason;
    reason.focus();
  });
}
// On a phone a table's rows become cards: each cell says which column it is.
for (const table of document.querySelectorAll(".scroll > table")) {
  const names = [...table.querySelectorAll("thead th")].map((head) => head.textContent);
  if (!names.length) continue;
  table.classList.add("labelled");
  for (const row of table.tBodies[0].rows) {
    [...row.cells].forEach((cell, column) => {
      if (names[column] && cell.colSpan === 1) cell.dataset.label = names[column];
    });
  }
}
// Where the menu is wider than the screen, the page that is shown is in sight.
const here = document.querySelector(".menu [aria-current]");
if (here) here.parentElement.scrollLeft = here.offsetLeft - (here.parentElement.clientWidth - here.offsetWidth) / 2;
// The newest days are at the right end of a picture.
for (const picture of document.querySelectorAll(".picture")) picture.scrollLeft = picture.scrollWidth;
