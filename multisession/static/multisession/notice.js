/* Tells a page that another account has become active in another tab, and the server which page
   it is that a script sends something from, and whether a person did. Everything is safe without
   it: with it, the answer comes sooner and in its place. docs/explanation/wrong-account.md */
(() => {
  const find = (what) => document.querySelector(`[data-multisession-${what}]`);
  // Looked up each time: hx-boost may have put another body in.
  const page = () => find("page")?.dataset;
  const here = () => page()?.multisessionPage;
  // A refusal has no such URL: it says itself what happened.
  const asks = () => find("notice")?.dataset.multisessionNotice;
  const sheet = () => document.querySelector("body > #ms-wrong-account");
  const on = (type, then) => addEventListener(type, then, true);
  const later = (then) => setTimeout(then, 99);
  // Whether the page is hidden: it stays as it is, and comes back with all that was typed.
  const { style } = document.documentElement;
  const veil = (isOn) => (style.visibility = isOn ? "hidden" : "");
  const isCover = () => is(sheet(), ".ms-cover");
  let channel;
  let heard = here();
  let turn = 0;
  let told;
  let covered;

  // Each page says whose it is when it loads. Whoever hears something new asks what is true, and
  // goes by that: a page that took long to load says what was true before.
  const listen = () => {
    channel = new BroadcastChannel("multisession");
    channel.onmessage = ({ data }) => data === heard || back((heard = data));
  };

  const look = async (what) => {
    const mine = ++turn;
    const url = asks();
    if (!url) return;
    const query = { session: here(), next: location.pathname + location.search, ...what };
    try {
      const answer = await send(url + "?" + new URLSearchParams(query), { mode: "same-origin", redirect: "error" });
      const html = await answer.text();
      // Ours says so: what somebody has put into the page may lead to a file of his.
      if (!answer.ok || !answer.headers.has(mark)) throw 0;
      // A later question takes over, but not from the sheet of a person's click.
      if (mine !== turn && !what) return;
      heard = answer.headers.get(mark + "-Page");
      return [parse(html)];
    } catch {
      // No connection: then at the next occasion. But a page that somebody went back to is shown
      // by the server or not at all.
      if (style.visibility && !sheet()) location.reload();
    }
  };

  const ask = async () => {
    const found = await look();
    if (!found) return;
    if (is(found[0], "dialog")) return put(found[0]);
    if (!found[0] || style.visibility) away();
    if (!found[0] || !sheet()) show(found[0]);
  };

  // A cover: the page's account is signed out, and nobody reads on. The same again stays, as
  // somebody may be typing the password.
  const put = (dialog) => {
    if (isCover() && covered === heard) return;
    away();
    document.body.prepend(dialog);
    veil(isCover());
    covered = heard;
  };

  // What is seldom needed is loaded then: the sign-in form of a cover or a refusal, and the
  // question about text that nobody has sent.
  const more = async (event) => {
    const url = page()?.multisessionMore;
    if (!url) return;
    // From the folder of this script alone: user content may name a script of its own.
    const { signIn, typed } = await import("./" + url.split(/[/\\]/).pop());
    typed.add(event?.target);
    signIn(find("again"), send, signedIn);
  };
  const signedIn = async () => {
    await back();
    channel.postMessage(heard);
  };

  const show = (notice) => {
    const old = find("said");
    // The same again stays in its place: it may have the focus, or be about to be clicked, or have
    // been dismissed.
    if (old?.textContent === notice?.textContent) return;
    old?.remove();
    if (!notice) return comeBack();
    // A live region is read out when something comes into it, not when it comes itself.
    const words = [...notice.childNodes];
    notice.replaceChildren();
    document.body.prepend(notice);
    notice.togglePopover?.(true);
    later(() => notice.append(...words));
  };

  // Whether a person causes what is sent now: by a click, a form, a choice, Enter or a shortcut
  // that is being handled, or was a moment ago and on something that acts; but not at an address
  // that has been seen sent by itself, as a timer's is.
  const acting = "a,button,summary,label,select,input:not(:read-write),[role=button],[role=tab],[role=switch],[role^=menuitem]";
  const quiet = new Set();
  let acted = -1e9;

  // A form may have fields of any name, and they hide its own methods.
  const { matches, closest } = Element.prototype;
  const is = (target, what) => target instanceof Element && matches.call(target, what);
  const within = (target, what) => (target instanceof Element ? closest.call(target, what) : null);

  const isAct = ({ type, target, key, ctrlKey, metaKey, isTrusted }) => {
    const isField = within(target, ":read-write");
    const isText = isField && !is(target, "input");
    const isShortcut = (ctrlKey || metaKey) && /^(Enter|s)$/.test(key);
    if (!isTrusted) return false;
    if (type === "keydown") return isShortcut || (key === "Enter" && !isText);
    return type === "submit" || (/^(click|change)$/.test(type) && !isField);
  };

  for (const type of ["submit", "click", "change", "keydown"])
    on(type, (event) => {
      if (isAct(event) && (type !== "click" || within(event.target, acting)))
        acted = performance.now();
    });

  const isPersons = (address) => {
    if (navigator.userActivation?.isActive === false) acted = -1e9;
    if (window.event && isAct(window.event)) return true;
    if (performance.now() - acted < 500) return !quiet.has(address);
    quiet.add(address);
  };

  // A script that reads the CSRF cookie when it sends speaks for the browser: so say which page.
  const mark = "X-Multisession";
  const isSafe = (method) => /^(GET|HEAD|undefined)$/i.test(method);
  const headersFor = (method, to, fromHtmx) => {
    const url = new URL(to, document.baseURI);
    if (!here() || url.origin !== origin) return {};
    const isBackground = !isPersons(method + url.pathname);
    const found = isSafe(method) ? {} : { [mark + "-Page"]: here() };
    // A header of ours on a plain GET that is redirected elsewhere would have to be allowed there.
    if (isBackground && (fromHtmx || !isSafe(method))) found[mark + "-Background"] = "true";
    return found;
  };

  const parse = (html) => new DOMParser().parseFromString(html, "text/html").body.firstElementChild;

  // Refused. A person gets the sheet; for what nobody did, the notice says so, once. An offer of
  // another account comes with the answer, of which htmx 2 shows nothing.
  const refused = (marks, reason, html) => {
    if (reason === "other-account")
      return later(() => sheet() || (html && document.body.prepend(parse(html))));
    if (reason === "wrong-account" && !marks[mark + "-Background"]) return later(openSheet);
    told ||= later(ask);
  };

  const openSheet = async () => {
    const found = !sheet() && (await look({ refused: 1 }));
    if (found?.[0]) put(found[0]);
  };

  const send = fetch;
  window.fetch = async (input, init) => {
    const fromHtmx = new Headers(init?.headers ?? input.headers).has("HX-Request");
    const marks = headersFor(init?.method ?? input.method, input.url ?? input, fromHtmx);
    if (!Object.keys(marks)[0]) return send(input, init);
    const request = new Request(input, init);
    for (const name in marks) request.headers.set(name, marks[name]);
    const answer = await send(request);
    const reason = answer.headers.get(mark);
    if (reason) refused(marks, reason);
    return answer;
  };

  const { open, setRequestHeader } = XMLHttpRequest.prototype;
  const marked = new WeakMap();
  XMLHttpRequest.prototype.open = function (method, url) {
    open.apply(this, arguments);
    const marks = headersFor(method, url, true);
    marked.set(this, marks);
    for (const name in marks) if (!isSafe(method)) setRequestHeader.call(this, name, marks[name]);
    this.addEventListener("load", () => {
      const reason = new URL(this.responseURL || "/", origin).origin === origin && this.getResponseHeader(mark);
      if (reason) refused(marked.get(this), reason, this.responseType ? "" : this.responseText);
    });
  };
  // Whether it is htmx's is known when that says so.
  XMLHttpRequest.prototype.setRequestHeader = function (name, value) {
    setRequestHeader.apply(this, arguments);
    const marks = marked.get(this);
    if (name === "HX-Request" && marks?.[mark + "-Background"] && !marks[mark + "-Page"])
      setRequestHeader.call(this, mark + "-Background", "true");
  };

  // Inertia shows an answer that is not its own in a window.
  for (const type of ["inertia:invalid", "inertia:httpException"])
    on(type, (event) => {
      const headers = event.detail?.response?.headers;
      if (headers?.get?.(mark) ?? headers?.[mark.toLowerCase()]) event.preventDefault();
    });

  // Who pressed a button goes on from there, also if it was disabled while it sent.
  let at;
  on("focusin", ({ target }) => {
    if (!within(target, "#ms-wrong-account, [data-multisession-said]")) at = target;
  });
  const comeBack = () => document.activeElement === document.body && at?.focus();

  // A tab in the background is not told that its dialog was closed until it comes to the front.
  const away = () => {
    const old = sheet();
    veil();
    old?.close();
    old?.remove();
    comeBack();
  };

  // Whoever put the sheet into the page: it is made modal, gives the focus back, and goes.
  new MutationObserver(() => {
    const found = sheet();
    if (found?.open && !found.matches(":modal")) {
      find("said")?.remove();
      found.onclose = () => {
        // Escape doesn't take a cover away.
        if (found === sheet() && isCover()) return found.showModal();
        found.remove();
        comeBack();
      };
      found.removeAttribute("open");
      found.showModal();
    }
    if (find("again")) more();
  }).observe(document, { childList: true, subtree: true });

  // A switch to the account of this page leaves the page as it is.
  on("submit", async (event) => {
    const form = event.target;
    // Going back to the page that refused it would ask to send it once more.
    if (is(form, "[data-multisession-back]"))
      history.replaceState(null, "", form.dataset.multisessionBack);
    // Perhaps of another account: then the next page has no news, but this one when it goes.
    if (is(form, "[action*=sign-out]")) heard = 0;
    if (!is(form, "[data-multisession-stay]")) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const answer = await send(form.action, { method: "POST", body: new FormData(form) }).catch(() => {});
    away();
    if (answer?.status === 204) channel.postMessage((heard = here()));
    back();
  });

  listen();
  if (page()) channel.postMessage(heard);
  const back = () => ask((told = 0));
  on("visibilitychange", () => document.hidden || back());
  on("input", more);
  if (find("again")) more();
  // Whoever comes back to a page, perhaps the next person at this computer, sees it if the server
  // says that its account is still signed in: browsers keep pages whole, with "no-store" too. An
  // open channel may prevent that.
  on("pagehide", () => {
    if (heard === 0) channel.postMessage(heard);
    channel.close(veil(1));
  });
  on("pageshow", ({ persisted }) => {
    if (persisted) listen();
    else if (performance.navigation.type < 2) return;
    veil(here() && asks());
    back();
  });
})();
