/* Tells a page that another account has become active in another tab, and the server which page
   it is that a script sends something from. Everything works without it: it only comes sooner. */
(() => {
  const find = (what) => document.querySelector(`[data-multisession-${what}]`);
  // Looked up each time: hx-boost may have put another body in.
  const page = () => find("page")?.dataset;
  const here = () => page()?.multisessionPage;
  const parse = (html) =>
    new DOMParser().parseFromString(html, "text/html").body.firstElementChild;
  let channel;
  let heard = here();
  let turn = 0;

  // Each page says whose it is when it loads. Whoever hears something new asks what is true.
  const listen = () => {
    channel = new BroadcastChannel("multisession");
    channel.onmessage = ({ data }) => data === heard || ask((heard = data));
  };

  const ask = async () => {
    const mine = ++turn;
    if (find("wrong-account") || !page()?.multisessionNotice) return;
    const query = { session: here(), next: location.pathname + location.search };
    try {
      const url = page().multisessionNotice + "?" + new URLSearchParams(query);
      const answer = await fetch(url, { redirect: "error" });
      const html = await answer.text();
      if (answer.ok && mine === turn) show(parse(html));
    } catch {
      // No connection: then at the next occasion.
    }
  };

  const show = (notice) => {
    const old = find("said");
    // The same again stays in its place: it may have the focus, or be about to be clicked.
    if (old?.textContent === notice?.textContent) return old?.togglePopover?.(true);
    old?.remove();
    if (!notice) return;
    // A live region is read out when something comes into it, not when it comes itself.
    const words = [...notice.childNodes];
    notice.replaceChildren();
    document.body.prepend(notice);
    notice.togglePopover?.(true);
    setTimeout(() => notice.append(...words), 99);
  };

  // A script that reads the CSRF cookie when it sends speaks for the browser: so say which page.
  const mark = "X-Multisession";
  const header = mark + "-Page";
  const ours = (method, url) =>
    here() && !/^(GET|HEAD|undefined)$/i.test(method) && new URL(url, document.baseURI).origin === origin;

  // Refused: show it, unless htmx has been told to (409 among its responseHandling). What a
  // script got as JSON cannot be shown: the notice says as much. Only of our own site: a redirect
  // may have led to another.
  const refused = (text, url) =>
    setTimeout(() => {
      if (!/^\s*</.test(text)) return ask();
      if (!ours("POST", url)) return;
      if (!find("wrong-account")) document.body.prepend(parse(text));
      find("focus")?.focus();
    }, 99);

  const send = fetch;
  window.fetch = async (input, init) => {
    if (!ours(init?.method ?? input.method, input.url ?? input)) return send(input, init);
    const headers = new Headers(init?.headers ?? input.headers);
    headers.set(header, here());
    const answer = await send(input, { ...init, headers });
    if (answer.headers.has(mark)) answer.clone().text().then((text) => refused(text, answer.url));
    return answer;
  };

  const { open } = XMLHttpRequest.prototype;
  XMLHttpRequest.prototype.open = function (method, url) {
    open.apply(this, arguments);
    if (!ours(method, url)) return;
    this.setRequestHeader(header, here());
    this.addEventListener("load", () => {
      if (this.getResponseHeader(mark)) refused(this.response, this.responseURL);
    });
  };

  listen();
  if (page()) channel.postMessage(heard);
  addEventListener("visibilitychange", () => document.hidden || ask());
  // An open channel may keep a page out of the back/forward cache.
  addEventListener("pagehide", () => channel.close());
  addEventListener("pageshow", ({ persisted }) => persisted && ask(listen()));
})();
