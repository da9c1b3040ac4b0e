// howto/user-button
(() => {
  const BUTTON = "[data-multisession-button]";
  const FORM = "[data-multisession-form]";
  const all = (what, item) => [...(item || document).querySelectorAll(what)];
  const on = (type, then) => addEventListener(type, then, true);
  const rows = (item) => all("a, button", item).filter((row) => row.offsetParent);
  const words = (item) => item.textContent.trim();
  let at, text, last;

  // The panel lies on top of everything, also of a notice that came after it. Where CSS can't tie
  // it to its button, it is placed here.
  const show = (button) => {
    const panel = button.lastElementChild;
    button.firstElementChild.ariaExpanded = button.open;
    panel.popover = "manual";
    panel.togglePopover?.(false);
    panel.togglePopover?.(button.open);
    place(button);
  };

  const place = (button) => {
    const { style, togglePopover } = button.lastElementChild;
    if (!togglePopover || CSS.supports("anchor-scope:--a")) return;
    const { left, right, top, bottom } = button.getBoundingClientRect();
    const { clientWidth, clientHeight } = document.documentElement;
    const below = top + bottom < clientHeight;
    const start = left + right < clientWidth;
    const px = (isSet, length) => (isSet ? length + "px " : "auto ");
    style.inset =
      px(below, bottom) + px(!start, clientWidth - right) + px(!below, clientHeight - top) + px(start, left);
    style.maxHeight = px(1, (below ? clientHeight - bottom : top) - 12);
  };

  const close = ({ target }) =>
    all(BUTTON).map((item) => item.contains(target) || (item.open = false));
  on("click", close);
  on("focusin", (event) => close(event, (last = event.target)));

  on("toggle", ({ target }) => {
    if (target.matches(BUTTON + ", [data-multisession-said]")) all(BUTTON).map(show);
  });
  all(BUTTON + "[open]").map(show);
  for (const type of ["scroll", "resize"]) on(type, () => all(BUTTON + "[open]").map(place));

  on("keydown", (event) => {
    const { target, key, timeStamp } = event;
    if (key == "Escape") all("dialog.ms-wrong-account[open]").map((sheet) => sheet.close());
    const button = all(BUTTON + "[open]")[0] || target.closest(BUTTON);
    if (!button || event.ctrlKey || event.altKey || event.metaKey) return;
    if (key == "Escape") {
      button.open = false;
      button.firstElementChild.focus();
    }
    if (!button.contains(target) || target.matches("input")) return;
    if (key == "ArrowDown") button.open = true;
    const items = rows(button);
    const here = items.indexOf(target);
    let next = {
      ArrowDown: items[here + 1] || items[0],
      ArrowUp: items[here - 1] || items.at(-1),
      Home: items[0],
      End: items.at(-1),
    }[key];
    if (key > " " && !key[1]) {
      text = (timeStamp - at < 700 ? text : "") + key.toLowerCase();
      at = timeStamp;
      next = [...items.slice(here + !text[1]), ...items].find((item) =>
        (all("bdi", item)[0] || item).innerText.toLowerCase().startsWith(text),
      );
    }
    if (next) event.preventDefault();
    next?.focus();
  });

  on("submit", (event) => {
    const form = event.target;
    if (!all(FORM).includes(form)) return;
    if (all(FORM + "[aria-busy]")[0]) {
      event.preventDefault();
      event.stopPropagation();
    }
    form.ariaBusy = true;
    setTimeout(() => (form.ariaBusy = null), 5e3);
  });

  const end = ({ target, detail }) => {
    const { status } = detail.xhr || detail.ctx.response || detail;
    const box = target.closest?.(":has(> .ms-problem)");
    all("[data-multisession-focus]", box)[0]?.focus();
    // The row that had the focus was replaced by one that says the same.
    if (document.activeElement == document.body && last && !last.isConnected)
      rows(box || all(BUTTON + "[open]")[0]).find((row) => words(row) == words(last))?.focus();
    if (!box) return;
    if (/^([23]|42)/.test(status)) return;
    box.firstElementChild.dataset.kind = (status / 100) | 0;
    all(FORM, box).map((form) => (form.ariaBusy = null));
  };
  on("htmx:afterRequest", end);
  on("htmx:finally:request", end);
})();
