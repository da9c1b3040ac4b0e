/* Keys, focus and double clicks for the UserButton. Everything works without it; what it adds is
   delegated to the document, so parts that htmx puts in later need no set-up. */
(() => {
  const BUTTON = "[data-multisession-button]";
  const on = (type, listener) => document.addEventListener(type, listener, true);
  let typed = "";
  let typedAt = 0;

  // A click or the focus outside closes: nothing may stay covered by a menu that is done with.
  const closeOthers = ({ target }) => {
    for (const button of document.querySelectorAll(BUTTON + "[open]")) {
      if (!button.contains(target)) button.open = false;
    }
  };
  on("click", closeOthers);
  on("focusin", closeOthers);

  const mirror = (button) => (button.firstElementChild.ariaExpanded = button.open);
  document.querySelectorAll(BUTTON).forEach(mirror);
  on("toggle", ({ target }) => target.matches(BUTTON) && mirror(target));

  on("keydown", (event) => {
    const { target, key } = event;
    const button = target.closest?.(BUTTON);
    if (!button || event.ctrlKey || event.altKey || event.metaKey) return;
    const summary = button.firstElementChild;
    if (key === "Escape" && button.open) {
      button.open = false;
      summary.focus();
    }
    if (target.matches("input, select, textarea")) return;
    if (key === "ArrowDown" && target === summary) button.open = true;
    if (!button.open) return;
    const items = [...button.querySelectorAll("[data-multisession-panel] :is(a, button)")].filter(
      (item) => item.offsetParent,
    );
    const last = items.length - 1;
    const here = items.indexOf(target);
    let next;
    if (key === "ArrowDown") next = here < last ? here + 1 : 0;
    if (key === "ArrowUp") next = here > 0 ? here - 1 : last;
    if (key === "Home") next = 0;
    if (key === "End") next = last;
    // Type-ahead. A space is left to the button that has the focus.
    if (key.length === 1 && key !== " ") {
      typed = (event.timeStamp - typedAt < 700 ? typed : "") + key.toLowerCase();
      typedAt = event.timeStamp;
      const order = [...items.keys()].map((i) => (here + i + (typed[1] ? 0 : 1)) % items.length);
      next = order.find((i) => label(items[i]).startsWith(typed));
    }
    if (items[next]) {
      event.preventDefault();
      items[next].focus();
    }
  });

  // The name that one sees: an avatar's initials are not what anybody would type.
  const label = (item) =>
    (item.querySelector(".ms-name, .ms-row-label") ?? item).textContent.trim().toLowerCase();

  // The second click of a double click sends nothing. A lost answer does not lock the form.
  on("submit", (event) => {
    const form = event.target;
    if (!form.matches("[data-multisession-form]")) return;
    if (form.ariaBusy) {
      event.preventDefault();
      event.stopPropagation();
    }
    form.ariaBusy = "true";
    setTimeout(() => (form.ariaBusy = null), 5000);
  });
})();
