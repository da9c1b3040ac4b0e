import { createElement, Fragment, version } from "react";
import { createRoot } from "react-dom/client";
import Session from "../listings/session.tsx";
import UserButton from "../listings/user-button.tsx";

const both = createElement(Fragment, null, createElement(UserButton), createElement(Session));
document.documentElement.dataset.version = version;
createRoot(document.getElementById("island")).render(both);
