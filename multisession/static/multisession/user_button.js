// howto/user-button
(() => {
  const BUTTON = "[data-multisession-button]";
  const FORM = "[data-multisession-form]";
  const all = (what, item) => [...(item || document).querySelectorAll(what)];
  const on = (type, then) => addEventListener(type, then, true);
  let at, text;

  const close = ({ target }) =>
    all(BUTTON).map((item) => item.contains(target) || (item.open = false));
  on("click", close);
  on("focusin", close);

  on("toggle", ({ target }) => {
    if (target.matches(BUTTON)) target.firstElementChild.ariaExpanded = target.open;
  });

  on("keydown", (event) => {
    const { target, key, timeStamp } = event;
    const button = all(BUTTON + "[open]")[0] || target.closest(BUTTON);
    if (!button || event.ctrlKey || event.altKey || event.metaKey) return;
    if (key == "Escape") {
      button.open = false;
      button.firstElementChild.focus();
    }
    if (!button.contains(target) || target.matches("input")) return;
    if (key == "ArrowDown") button.open = true;
    const items = all("a, button", button).filter((item) => item.offsetParent);
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
    if (!box || /^([23]|42)/.test(status)) return;
    box.firstElementChild.dataset.kind = (status / 100) | 0;
    all(FORM, box).map((form) => (form.ariaBusy = null));
  };
  on("htmx:afterRequest", end);
  on("htmx:finally:request", end);
})();
