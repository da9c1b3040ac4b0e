import { createElement } from "react";
import { createRoot } from "react-dom/client";
import { ClerkProvider, useClerk } from "@clerk/clerk-react";
import { Header } from "../listings/header.jsx";

const CustomFlow = () => {
  const clerk = useClerk();
  window.flow = clerk;
  return createElement("p", { id: "who" }, String(clerk.user?.primaryEmailAddress?.emailAddress ?? "nobody"));
};

const { publishableKey, clerkJSUrl } = document.documentElement.dataset;
const settings = { publishableKey, clerkJSUrl, proxyUrl: `${location.origin}/__clerk`, telemetry: false };
createRoot(document.getElementById("island")).render(
  createElement(ClerkProvider, settings, createElement(Header), createElement(CustomFlow)),
);
