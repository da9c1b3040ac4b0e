import { $clerkStore, $sessionListStore, $sessionStore } from "@clerk/astro/client";
import { runInjectionScript } from "@clerk/astro/internal";

Object.assign(window, { stores: { $clerkStore, $sessionListStore, $sessionStore } });
const { publishableKey } = document.documentElement.dataset;
await runInjectionScript({ publishableKey, proxyUrl: `${location.origin}/__clerk`, prefetchUI: false });
