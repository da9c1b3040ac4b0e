import { mount } from "svelte";
import Session from "../listings/session.svelte";
import SessionList from "../listings/session-list.svelte";

const target = document.getElementById("island");
for (const component of [SessionList, Session]) mount(component, { target });
