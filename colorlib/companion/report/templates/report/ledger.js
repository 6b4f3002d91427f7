// Filters of the claims by verdict and part, and claims that open when a link leads to them.
"use strict";
const ledger = document.querySelector(".ledger");
const controls = ledger.querySelector(".filters");
const open = () => {
  const claim = document.getElementById(location.hash.slice(1));
  if (!claim || !claim.matches("details.claim")) return;
  for (let fold = claim; fold; fold = fold.parentElement.closest("details")) fold.open = true;
  claim.hidden = claim.parentElement.hidden = false;
  claim.scrollIntoView();
};
if (controls) {  // not where no claims were judged
  const chosen = { verdict: "", group: "" };
  const status = ledger.querySelector("[role=status]");
  const claims = [...ledger.querySelectorAll(".group details.claim")];
  const show = () => {
    for (const claim of claims) claim.hidden = Object.keys(chosen).some(name => chosen[name] && chosen[name] !== claim.dataset[name]);
    for (const group of ledger.querySelectorAll(".group")) group.hidden = !group.querySelector("details.claim:not([hidden])");
    for (const button of controls.querySelectorAll("button")) button.setAttribute("aria-pressed", chosen[button.dataset.name] === button.dataset.value);
    status.textContent = `${claims.filter(claim => !claim.hidden).length} of ${claims.length} claims are shown.`;
  };
  for (const item of controls.querySelectorAll("[data-name]")) {
    const button = document.createElement("button");
    button.type = "button";
    Object.assign(button.dataset, item.dataset);
    button.append(...item.childNodes);
    button.addEventListener("click", () => {
      const { name, value } = button.dataset;
      chosen[name] = chosen[name] === value ? "" : value;
      show();
    });
    item.replaceWith(button);
  }
  controls.classList.add("active");
  show();
  addEventListener("hashchange", open);
  open();
}
