"use strict";
const field = (name) => document.getElementById(`filter-${name}`);
const findings = [...document.querySelectorAll("article.finding")];
const names = ["severity", "status", "backend", "mode"];
let cell = "";

function filter() {
  const words = field("text").value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const finding of findings) {
    const text = finding.querySelector(".title").textContent.toLowerCase() + " " +
      finding.querySelector("dl").textContent.toLowerCase();
    const fits = words.every((word) => text.includes(word)) &&
      (!cell || finding.dataset.cells.split("|").includes(cell)) &&
      names.every((name) => {
        const wanted = field(name).value;
        return !wanted || finding.dataset[name].split("|").includes(wanted);
      });
    finding.hidden = !fits;
    count += fits;
  }
  const only = cell ? `, ${cell.replace("/", ": ")}` : "";
  document.getElementById("shown").value = `${count} of ${findings.length}${only}`;
}

const filters = document.getElementById("filters");
filters.addEventListener("input", filter);
filters.addEventListener("submit", (event) => event.preventDefault());
filters.addEventListener("reset", () => { cell = ""; setTimeout(filter); });

for (const button of document.querySelectorAll(".matrix button")) {
  button.addEventListener("click", () => {
    filters.reset();
    field("backend").value = button.dataset.backend;
    setTimeout(() => {
      field("backend").value = button.dataset.backend;
      cell = `${button.dataset.mode}/${button.dataset.property}`;
      filter();
      document.getElementById("findings").scrollIntoView();
    });
  });
}

async function copied(text) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const area = document.createElement("textarea"); // no clipboard where a page is not trusted
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

for (const button of document.querySelectorAll("button.copy")) {
  button.addEventListener("click", async () => {
    try {
      await copied(button.parentElement.querySelector("code.repro").textContent);
      button.textContent = "copied";
    } catch {
      button.textContent = "not allowed here: select the text";
    }
    setTimeout(() => { button.textContent = "copy"; }, 2000);
  });
}
