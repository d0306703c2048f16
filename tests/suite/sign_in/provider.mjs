// A real OpenID Connect provider (oidc-provider of npm) for the tests of signing in: people are who they say, in the groups that the
// arguments give them. Prints its issuer, then serves until it is stopped.
//
//   node provider.mjs CLIENT_ID CLIENT_SECRET REDIRECT_URI ALGORITHM '{"ada": ["owners"]}'
import { createServer } from "node:http";
import { generateKeyPairSync } from "node:crypto";
import { join } from "node:path";

const folders = (process.env.NODE_PATH ?? "").split(":").filter((folder) => folder !== "");
let Provider;
for (const folder of folders) {
  try {
    ({ Provider } = await import(join(folder, "oidc-provider/lib/index.js")));
    break;
  } catch (error) {
    if (error.code !== "ERR_MODULE_NOT_FOUND") throw error;
  }
}
if (Provider === undefined) {
  console.error("oidc-provider is in no folder of NODE_PATH");
  process.exit(3);
}

const [clientId, clientSecret, redirectUri, algorithm, groups] = process.argv.slice(2);
const people = JSON.parse(groups);
const key = (kid, type, options) => {
  const { privateKey } = generateKeyPairSync(type, options);
  return { ...privateKey.export({ format: "jwk" }), kid, use: "sig" };
};
const configuration = {
  clients: [
    {
      client_id: clientId,
      client_secret: clientSecret,
      redirect_uris: [redirectUri],
      grant_types: ["authorization_code"],
      response_types: ["code"],
      id_token_signed_response_alg: algorithm,
    },
  ],
  jwks: {
    keys: [key("rsa", "rsa", { modulusLength: 2048 }), key("ec", "ec", { namedCurve: "P-256" }), key("ed", "ed25519", {})],
  },
  cookies: { keys: ["for this test only"] },
  enabledJWA: { idTokenSigningAlgValues: ["RS256", "ES256", "EdDSA", "Ed25519"] },
  scopes: ["openid", "email", "profile", "groups"],
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"], groups: ["groups"] },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: `${id}@people.example`, email_verified: true, name: id, groups: people[id] ?? [] }),
  }),
};

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  server.on("request", new Provider(issuer, configuration).callback());
  console.log(issuer);
});
