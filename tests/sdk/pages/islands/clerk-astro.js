import { $clerkStore, $sessionListStore, $sessionStore } from "@clerk/astro/client";
import { runInjectionScript } from "@clerk/astro/internal";

Object.assign(window, { stores: { $clerkStore, $sessionListStore, $sessionStore } });
const { publishableKey } = document.documentElement.dataset;
const __internal_clerkJSUrl = `${location.origin}/npm/clerk/clerk-js/dist/clerk.browser.js`;
const proxyUrl = `${location.origin}/__clerk`;
await runInjectionScript({ publishableKey, proxyUrl, __internal_clerkJSUrl, prefetchUI: false });
