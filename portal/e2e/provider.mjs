// An OpenID provider of the tests' own: a real one, to which everybody who says a name is known.
//
//   node provider.mjs PORT REDIRECT_URI CLIENT_SECRET
//
// It asks for name and password on a page of its own and takes any. It vouches for groups that it has no business with,
// too, as a hostile one would.
import { Provider } from 'oidc-provider';

const [port, redirectUri, secret] = process.argv.slice(2);
const issuer = `http://localhost:${port}`;

const provider = new Provider(issuer, {
  clients: [{ client_id: 'orbit-portal', client_secret: secret, redirect_uris: [redirectUri] }],
  scopes: ['openid', 'email', 'profile', 'groups'],
  claims: { email: ['email', 'email_verified'], profile: ['name'], groups: ['groups'] },
  // What is asked for by scope stands in the ID token, as Dex, Keycloak and Entra have it.
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  findAccount: (_, accountId) => ({
    accountId,
    claims: () => ({
      sub: accountId,
      email: accountId.includes(':') ? accountId : `${accountId}@shop.example`,
      email_verified: true,
      name: accountId,
      groups: ['shop-developers', 'system:masters'],
    }),
  }),
});

provider.listen(Number(port), '127.0.0.1', () => console.log(`an OpenID provider listens on ${issuer}`));
