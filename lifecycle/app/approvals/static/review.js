// The decision box of the review page is no live part: somebody may be writing in it. When what it offers is behind,
// it loads itself again if nobody has begun to write, else it says so. What is true is always the server's answer.

function behind() {
  const status = document.getElementById("status");
  const box = document.getElementById("decision");
  if (!status || !box || status.dataset.key === box.dataset.key) { return; }
  const fields = [...box.querySelectorAll("textarea, input[type=radio]")];
  const begun = fields.some((one) => (one.type === "radio" ? one.checked : one.value.trim() !== ""));
  if (begun || box.contains(document.activeElement)) {
    box.querySelector(".behind").hidden = false;
  } else {
    htmx.ajax("GET", box.dataset.url, { target: "#decision", swap: "outerHTML" });
  }
}

document.addEventListener("htmx:afterSettle", (event) => {
  // A refusal means that somebody was first: the page shows at once who, and what is so now.
  if (event.target.closest?.(".form-notice")) {
    for (const part of document.querySelectorAll("[data-live]")) { htmx.trigger(part, "refresh"); }
  } else if (event.target.id === "status") {
    behind();
  }
});
