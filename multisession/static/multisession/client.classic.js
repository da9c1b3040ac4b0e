(() => {
/* Clerk's stores and window.Clerk, for this site's accounts: docs/howto/islands.md */
const seek = (what) => document.querySelector(`[data-multisession-${what}]`);
const base = seek("frontend")?.dataset.multisessionFrontend || "/__clerk/v1/";

// As in nanostores: React reads value, Svelte wants a call at once.
const atom = (value) => {
  const heard = new Set();
  const listen = (then) => (heard.add(then), () => heard.delete(then));
  return {
    get value() {
      return value;
    },
    get: () => value,
    listen,
    subscribe: (then) => (then(value), listen(then)),
    set(next) {
      value = next;
      for (const then of [...heard]) then(value);
    },
  };
};

// Text to a framework, an object to Clerk's callers.
const email = (text) => ({ emailAddress: text, toString: () => text, [Symbol.iterator]: () => [text].values() });
const revive = (key, value) => (/At$/.test(key) ? new Date(value) : /Address$/.test(key) ? email(value) : value);

let last;
let turn;
const ask = async (method, path = "", fields) => {
  const body = fields ? new URLSearchParams(fields) : null;
  const answer = await fetch(`${base}client${path}?lean`, { method, body });
  const text = await answer.text();
  const client = JSON.parse(text, revive);
  if (!answer.ok) throw Object.assign(new Error(client.errors[0].long_message), client);
  last = text;
  client.session = client.sessions.find(({ id }) => id === client.active) ?? null;
  return client;
};

const tabs = new BroadcastChannel("multisession");

const $clerkStore = atom();
const $sessionStore = atom();
const $sessionListStore = atom();
const $userStore = atom();
const $clientStore = atom();
const $isLoadedStore = atom();
const $organizationStore = atom();

// No client: as at first. No session: no list.
const show = (client) => {
  const session = client?.session;
  const user = session && session.user;
  const organization = session && client.organization;
  const loaded = !!client;
  Object.assign(Clerk, { client, session, user, organization, loaded });
  if (!session) $sessionListStore.set();
  $clerkStore.set({ ...Clerk });
  $sessionStore.set(session);
  $userStore.set(user);
  $organizationStore.set(organization);
  $clientStore.set(client);
  $isLoadedStore.set(loaded);
  if (session) $sessionListStore.set(client.sessions);
};

// Nothing, the hook, the new session.
const change = async (client, hook, url) => {
  turn = {};
  tabs.postMessage(client.page);
  if (client.page !== Clerk.client?.page) {
    show();
    if (hook) await hook(client.session);
    else if (url) return location.assign(url);
    else if (seek("page")) return location.reload();
  }
  show(client);
};

const idOf = (given) => given?.id ?? given;
const send = (id, verb, fields) => ask("POST", `/sessions/${encodeURIComponent(id)}/${verb}`, fields);

const Clerk = {
  async setActive({ session, organization, beforeEmit, redirectUrl }) {
    await ready;
    const id = idOf(session) ?? Clerk.session?.id;
    const fields = organization !== undefined && { organization: idOf(organization) ?? "" };
    if (id && (fields || session !== undefined))
      await change(await send(id, session === null ? "remove" : "touch", fields), beforeEmit, redirectUrl);
  },
  setSession: (session, beforeEmit) => Clerk.setActive({ session, beforeEmit }),
  // A function, options, an id, or the event of a click.
  async signOut(given, options) {
    await ready;
    const hook = typeof given === "function" && given;
    const { sessionId, redirectUrl } = (hook ? options : typeof given === "string" ? { sessionId: given } : given) ?? {};
    const client = await (sessionId ? send(sessionId, "end") : ask("DELETE", "/sessions"));
    const { afterSignOut, afterSignOutOne } = client.urls;
    await change(client, hook, redirectUrl ?? (client.sessions[0] ? afterSignOutOne : afterSignOut));
  },
  signOutOne: (options) => ready.then(() => Clerk.session && Clerk.signOut({ ...options, sessionId: Clerk.session.id })),
  async mountUserButton(place) {
    const load = async (into, url) => {
      into.innerHTML = await (await fetch(url)).text();
      window.htmx?.process(into);
    };
    await ready;
    await load(place, Clerk.client.urls.button);
    const panel = !window.htmx && place.querySelector("[hx-get]");
    if (panel) place.firstElementChild.ontoggle = () => load(panel, panel.getAttribute("hx-get"));
  },
  addListener: (then) => $clerkStore.subscribe(then),
};

const refresh = async () => {
  const seen = last;
  const mine = (turn = {});
  const client = await ask("GET");
  if (last === seen || mine !== turn) return;
  // Signed out in another tab.
  if (Clerk.session && !client.active) return show(), location.reload();
  show(client);
};
const again = () => refresh().catch(() => {});

show();
const ready = again();
tabs.onmessage = again;
addEventListener("visibilitychange", () => document.hidden || again());
addEventListener("pageshow", ({ persisted }) => persisted && again());
window.Clerk = Clerk;
})();
