// A page of its own on REST framework: saves by fetch and by axios, with the token of the cookie.
import axios from "axios";

document.querySelector("#app").innerHTML = `
  <input id="text" aria-label="Text">
  <button id="save" type="button">Save</button>
  <button id="axios" type="button">Save with axios</button>
  <output id="status"></output>
  <p id="error"></p>`;
const find = (id) => document.getElementById(id);
const cookie = (name) => document.cookie.match(new RegExp(`${name}=([^;]+)`))?.[1];
const client = axios.create({ xsrfCookieName: "csrftoken", xsrfHeaderName: "X-CSRFToken" });

const saved = (note) => {
  find("status").textContent = `Saved: ${note.saved}`;
  find("error").textContent = "";
};
const failed = (status) => {
  find("error").innerHTML = [401, 403].includes(status)
    ? 'Your session has expired. <a href="/accounts/login/">Sign in</a>'
    : `Not saved (${status})`;
};

const byFetch = async (text) => {
  const answer = await fetch("/api/notes/", {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRFToken": cookie("csrftoken") },
    body: JSON.stringify({ text }),
  });
  return answer.ok ? saved(await answer.json()) : failed(answer.status);
};
const byAxios = (text) =>
  client.post("/api/notes/", { text }).then(
    ({ data }) => saved(data),
    ({ response }) => failed(response.status),
  );

find("save").addEventListener("click", () => byFetch(find("text").value));
find("axios").addEventListener("click", () => byAxios(find("text").value));
setInterval(() => client.post("/api/notes/", { text: "ping" }).catch(() => {}), 300);
