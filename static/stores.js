// Shows the stores of multisession/client.js, without a build step: docs/howto/islands.md
const page = document.querySelector("[data-stores]");
const stores = await import(page.dataset.stores);

const button = (session) => {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "button secondary";
  made.textContent = session.user.primaryEmailAddress;
  made.ariaCurrent = session.id === stores.Clerk.session?.id ? "true" : null;
  made.onclick = () => stores.Clerk.setActive({ session: session.id });
  return made;
};

const shown = {
  $sessionListStore: (sessions) => sessions?.map(button) ?? [String(sessions)],
  $sessionStore: (session) => [session ? `${session.id}, ${session.lastActiveAt.toLocaleString()}` : String(session)],
  $clerkStore: ({ user }) => [String(user?.primaryEmailAddress ?? user)],
};

for (const place of page.querySelectorAll("[data-store]")) {
  const name = place.dataset.store;
  stores[name].subscribe((value) => place.replaceChildren(...shown[name](value)));
}
