// What a program does with Clerk's SDK for Node; prints what it was told, as JSON, for
// test_node.py. Arguments: the server's address, a secret key, and the ids that the story is about.
import { createClerkClient } from "@clerk/backend";

const [apiUrl, secretKey, ids] = process.argv.slice(2);
const { user, client, session, statuses } = JSON.parse(ids);
const { sessions, clients } = createClerkClient({ apiUrl, secretKey });

const summary = ({ data, totalCount }) => ({ ids: data.map((found) => found.id), totalCount });

async function refusal(request) {
  try {
    await request;
    return null;
  } catch (error) {
    const [{ code, message, longMessage }] = error.errors;
    return { status: error.status, code, message, longMessage };
  }
}

const told = { statuses: {} };
told.list = summary(await sessions.getSessionList({ userId: user, limit: 500 }));
for (const status of statuses) {
  const found = await sessions.getSessionList({ userId: user, status, limit: 500 });
  told.statuses[status] = { ...summary(found), seen: [...new Set(found.data.map((s) => s.status))] };
}
told.page = summary(await sessions.getSessionList({ clientId: client, limit: 3, offset: 2 }));
told.both = summary(await sessions.getSessionList({ clientId: client, userId: user }));
told.session = await sessions.getSession(session);
told.client = await clients.getClient(client);
told.clients = summary(await clients.getClientList({ limit: 2 }));
told.revoked = (await sessions.revokeSession(session)).status;
told.later = (await sessions.getSession(session)).status;
told.unknown = await refusal(sessions.getSession("sess_unknown"));
told.unknownClient = await refusal(clients.getClient("client_unknown"));
told.neither = await refusal(sessions.getSessionList({}));
told.limit = await refusal(sessions.getSessionList({ userId: user, limit: 501 }));
told.status = await refusal(sessions.getSessionList({ userId: user, status: "pending" }));
const stranger = createClerkClient({ apiUrl, secretKey: "sk_wrong" });
told.stranger = await refusal(stranger.sessions.getSession(session));
process.stdout.write(JSON.stringify(told));
