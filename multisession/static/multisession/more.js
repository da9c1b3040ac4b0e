/* What a page seldom needs; notice.js loads it when somebody types, or has to sign in again.
   docs/explanation/wrong-account.md */
const parse = (html) => new DOMParser().parseFromString(html, "text/html");
// A form may have fields of any name, and they hide its own methods.
const { matches, closest } = Element.prototype;
const is = (target, what) => target instanceof Element && matches.call(target, what);
const within = (target, what) => (target instanceof Element ? closest.call(target, what) : null);

// A page that the middleware has marked, and neither a text nor a download: user content may have
// put a URL of its own in the place of ours.
const isPage = ({ headers }) =>
  headers.has("X-Multisession") &&
  /^text\/html/i.test(headers.get("Content-Type")) &&
  !headers.has("Content-Disposition");

/* The project's own sign-in form, in the place of a link to its page. What it can't do here (a second
   step, a provider, its own scripts) is done there, in a new tab.
   place: an element with the URL and the user's name; or nothing.
   send: fetch, as the browser has it.
   done: asks the server whether the account is back, and tells the other tabs. */
export const signIn = async (place, send, done) => {
  if (!place) return;
  const { multisessionAgain: url, multisessionUser: user } = place.dataset;
  const instead = [...place.childNodes];
  const box = place.closest("dialog") ?? place.closest(".ms-wrong-account");
  place.removeAttribute("data-multisession-again");
  if (box.ariaLabel) hideTitle(box);
  if (document.hidden) await new Promise((seen) => addEventListener("visibilitychange", seen, { once: true }));

  // The URL of the page that the form is on: LOGIN_URL may redirect.
  let base;
  const load = async (address, options) => {
    // Never from or to another site, whatever URL the page names and wherever that redirects.
    const answer = await send(address, { ...options, mode: "same-origin" }).catch(() => {});
    if (answer?.url) base = answer.url;
    return [answer, answer ? parse(await answer.text()) : parse("")];
  };

  const addressOf = (form) => new URL(form.getAttribute("action") ?? "", base);

  const put = (page, tried) => {
    const form = page.querySelector("input[autocomplete~=current-password], input[type=password]")?.form;
    if (!form || addressOf(form).origin !== location.origin) return place.replaceChildren(...instead);
    const name = form.querySelector("[autocomplete~=username], [name=username], [name=login]");
    if (name && user && name.value !== user) [name.value, name.readOnly] = [user, true];
    // Of what other scripts do to a form of theirs, nothing is done to this one.
    delete form.dataset.multisessionForm;
    form.onsubmit = submit;
    // A form that was refused may need scripts of its own page, so the link to that comes back.
    place.replaceChildren(form, ...(tried ? instead : []));
    if (!place.contains(document.activeElement)) focusIn(form);
  };

  const focusIn = (form) =>
    [...form.elements].find((field) => field.matches(":read-write") && !field.value && field.offsetParent)?.focus();

  const submit = async (event) => {
    event.preventDefault();
    event.stopPropagation();
    const form = event.target;
    if (form.ariaBusy) return;
    form.ariaBusy = true;
    const body = new FormData(form, event.submitter);
    const [answer, page] = await load(addressOf(form), { method: "POST", body, redirect: "manual" });
    form.ariaBusy = null;
    if (!answer) return focusIn(form);
    if (answer.type !== "opaqueredirect") return put(page, true);
    const kept = box.querySelector("[data-multisession-back]");
    if (!kept) await done();
    if (place.isConnected) place.replaceChildren(...instead);
    // What was refused is sent now, by the server's own rules: as its account or not at all.
    if (kept?.querySelector("input:not([type=hidden])")) focusIn(kept);
    else kept?.requestSubmit();
  };

  const [answer, page] = await load(url, { headers: { "X-Multisession-Page": "again" } });
  if (answer && isPage(answer)) put(page);
};

let title;
const hideTitle = (cover) => {
  title ??= document.title;
  document.title = cover.ariaLabel;
  cover.addEventListener("close", () => {
    if (title === undefined || document.querySelector("dialog.ms-cover")) return;
    document.title = title;
    title = undefined;
  });
};

/* Text that somebody typed into a form of the page and has not sent: fields, which notice.js adds
   from the first letter on, and what was sent. */
export const typed = new Set();
let sent = new WeakMap();
const on = (type, then) => addEventListener(type, then, true);
const text = (field) => field.value ?? field.textContent;

const isUnsaved = (field) =>
  is(field, ":read-write:not([type=search], [type=password])") &&
  field.isConnected &&
  is(field.closest("form"), ":not([method=get i], [role=search], [role=search] *, [class^=ms-] *)") &&
  text(field) !== (sent.get(field) ?? field.defaultValue ?? "");

on("submit", ({ target }) => {
  for (const field of typed) if (within(field, "form") === target) sent.set(field, text(field));
});
// A sheet says that it was not sent.
on("close", () => (sent = new WeakMap()));

const ask = (event) => {
  const way = within(event.target, "[data-multisession-leaves]");
  if (!way || event.type === (is(way, "form") ? "click" : "submit")) return;
  if (event.ctrlKey || event.metaKey || event.shiftKey || ![...typed].some(isUnsaved)) return;
  if (confirm(way.dataset.multisessionLeaves)) return typed.clear();
  way.ariaBusy = null;
  event.preventDefault();
  event.stopImmediatePropagation();
};
on("click", ask);
on("submit", ask);
