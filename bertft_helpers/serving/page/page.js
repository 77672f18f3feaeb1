"use strict";
const form = document.getElementById("ask");
const said = document.getElementById("said");
const table = document.getElementById("answers");

// What is told of each label is an object: label -> text.
function asText(value) {
  return typeof value === "string" ? value : Object.entries(value).map((entry) => entry.join(": ")).join(" · ");
}

// Texts and labels are shown as text, never as HTML.
function show(texts, predictions) {
  const rows = predictions.map((found, place) => {
    const row = document.createElement("tr");
    const labels = found.labels ?? [found.label]; // a model gives each text any number of labels, or one
    const shares = found.labels ? labels.map((label) => found.probabilities[label]) : [found.probability];
    const told = [labels.join(", ") || "none", shares.map((share) => share.toFixed(2)).join(", ")];
    for (const value of [texts[place], ...told, ...Object.values(found.further ?? {}).map(asText)]) {
      row.insertCell().textContent = value;
    }
    row.title = Object.entries(found.probabilities).map(([label, share]) => `${label} ${share.toFixed(3)}`).join(", ");
    return row;
  });
  const head = table.tHead.rows[0];
  for (const name of Object.keys(predictions[0].further ?? {}).slice(head.cells.length - 3)) {
    const cell = Object.assign(document.createElement("th"), { scope: "col", textContent: name });
    head.append(cell);
  }
  table.tBodies[0].replaceChildren(...rows);
  table.hidden = false;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const texts = document.getElementById("texts").value.split("\n").filter((line) => line.trim());
  said.textContent = "…";
  try {
    const answer = await fetch("predict", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ texts }),
    });
    const found = await answer.json();
    if (!answer.ok) throw new Error(found.error);
    show(texts, found.predictions);
    said.textContent = "";
  } catch (error) {
    table.hidden = true;
    said.textContent = error.message;
  }
});
