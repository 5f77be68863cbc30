// A session of masto.js, unmodified. Says "done" at the end; whatever is not as expected is thrown.
import assert from "node:assert/strict";
import { createOAuthAPIClient, createRestAPIClient, MastoHttpError } from "masto";

const { KODAMA_URL: url, KODAMA_HANA: hanaToken, KODAMA_KEN: kenToken } = process.env;
const anonymous = createRestAPIClient({ url });
const hana = createRestAPIClient({ url, accessToken: hanaToken });
const ken = createRestAPIClient({ url, accessToken: kenToken });

const refused = async (action, code) => {
  await assert.rejects(action, (error) => {
    assert.ok(error instanceof MastoHttpError, String(error));
    assert.equal(error.statusCode, code);
    assert.ok(error.message.length > 5);
    return true;
  });
};
const ids = (list) => list.map((one) => one.id);

// The network, and an app of its own.
const instance = await anonymous.v2.instance.fetch();
assert.equal(instance.domain, new URL(url).host);
assert.equal(instance.configuration.statuses.maxCharacters, 150);
assert.equal((await anonymous.v1.instance.fetch()).uri, instance.domain);
assert.deepEqual(await anonymous.v1.customEmojis.list(), []);
const app = await anonymous.v1.apps.create({
  clientName: "masto.js",
  redirectUris: "urn:ietf:wg:oauth:2.0:oob",
  scopes: "read write follow",
});
const oauth = createOAuthAPIClient({ url });
const appToken = await oauth.token.create({
  clientId: app.clientId,
  clientSecret: app.clientSecret,
  grantType: "client_credentials",
  scope: "read write",
});
assert.equal(appToken.tokenType, "Bearer");
await refused(() => anonymous.v1.accounts.verifyCredentials(), 401);

// Members.
const me = await hana.v1.accounts.verifyCredentials();
const friend = await hana.v1.accounts.lookup({ acct: "ken" });
assert.equal(me.acct, "hana");
const [relationship] = await hana.v1.accounts.relationships.fetch({ id: [friend.id] });
assert.deepEqual([relationship.following, relationship.followedBy], [true, true]);
assert.deepEqual((await hana.v1.accounts.$select(me.id).followers.list()).map((one) => one.acct), ["ken"]);
assert.deepEqual(await hana.v1.suggestions.list(), []);
await refused(() => hana.v1.accounts.$select("99999").fetch(), 404);

// Statuses.
const status = await hana.v1.statuses.create(
  { status: "おはよう from masto.js", visibility: "private" },
  { requestInit: { headers: { "Idempotency-Key": "masto.js" } } },
);
assert.equal(status.visibility, "private");
const answer = await ken.v1.statuses.create({ status: "おはよう", inReplyToId: status.id });
const context = await hana.v1.statuses.$select(status.id).context.fetch();
assert.deepEqual(ids(context.descendants), [answer.id]);
assert.equal((await ken.v1.statuses.$select(status.id).favourite()).favouritesCount, 1);
assert.deepEqual(ids(await ken.v1.favourites.list()), [status.id]);
const edited = await hana.v1.statuses.$select(status.id).update({ status: "おはようございます" });
assert.equal(edited.content, "<p>おはようございます</p>");
await refused(() => hana.v1.statuses.create({ status: "x".repeat(151) }), 422);
await refused(() => hana.v1.statuses.$select(status.id).reblog(), 422);

// Pages, by the Link header.
const posted = [];
for (let number = 0; number < 5; number += 1) {
  posted.unshift((await hana.v1.statuses.create({ status: `page ${number}` })).id);
}
const seen = [];
for await (const page of ken.v1.timelines.home.list({ limit: 2 })) {
  seen.push(...ids(page));
  if (seen.length >= posted.length) break;
}
assert.deepEqual(seen.slice(0, posted.length), posted);

// Searching, and what is empty.
const found = await hana.v2.search.list({ q: "@ken", type: "accounts" });
assert.deepEqual((Array.isArray(found) ? found[0] : found).accounts.map((one) => one.acct), ["ken"]);
for (const empty of [hana.v1.lists, hana.v1.bookmarks, hana.v2.filters, hana.v1.conversations, hana.v1.followedTags]) {
  assert.deepEqual(await empty.list(), []);
}
assert.deepEqual(await hana.v1.trends.tags.list(), []);
assert.equal((await hana.v1.preferences.fetch())["posting:default:visibility"], "public");
await hana.v1.notifications.list();
await hana.v1.markers.fetch({ timeline: ["home"] });

// Deleting.
assert.equal((await hana.v1.statuses.$select(status.id).remove()).text, "おはようございます");
await refused(() => ken.v1.statuses.$select(status.id).fetch(), 404);
console.log("done");
