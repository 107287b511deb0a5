// Who is let in, and as whom: with an identity provider, in real browsers.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { judge, launch, open, plane } from './browser.mjs';

const clusters = `/ns/${plane.namespace}/clusters`;

describe('signing in with an identity provider', { concurrency: false }, () => {
  let browser;
  before(async () => (browser = await launch()));
  after(async () => browser?.close());

  /** A browser that nobody has used, on the way to the provider. */
  const stranger = async (path = clusters) => {
    const opened = await open(browser);
    await opened.page.goto(plane.url + path);
    await opened.page.getByRole('link', { name: 'Sign in with Shop accounts' }).waitFor();
    return opened;
  };
  const toProvider = (page) => page.getByRole('link', { name: 'Sign in with Shop accounts' }).click();
  /** On the provider's own pages. */
  const say = async (page, login) => {
    await page.locator('input[name=login]').fill(login);
    await page.locator('input[name=password]').fill('any');
    await page.getByRole('button', { name: 'Sign-in' }).click();
    await page.getByRole('button', { name: 'Continue' }).click();
  };
  const session = async (context) => (await context.request.get(`${plane.url}/api/v1/session`)).json();
  const isOut = async (context) =>
    assert.equal((await context.request.get(`${plane.url}/api/v1/session`)).status(), 401);

  it('acts as whom the provider names, in no group of the cluster, and leads back to the page that was meant', async () => {
    const { context, page, faults, elsewhere } = await stranger();
    await judge(page, 'sign-in-provider');
    await toProvider(page);
    await say(page, 'maria');
    await page.waitForURL(`**${clusters}`);
    await page.getByRole('region', { name: 'dev', exact: true }).waitFor();
    const { user } = await session(context);
    assert.equal(user.name, 'maria@shop.example');
    assert.ok(user.groups.includes('shop-developers'), user.groups.join());
    assert.ok(!user.groups.includes('system:masters'), user.groups.join());
    // What a developer may, and no more.
    const secrets = await context.request.get(`${plane.url}/api/v1/namespaces/kube-system/objects/imageuploads`);
    assert.equal(secrets.status(), 403);
    const [cookie] = (await context.cookies(plane.url)).filter(({ value }) => value.length > 20);
    assert.deepEqual([cookie.httpOnly, cookie.sameSite, cookie.path], [true, 'Lax', '/']);

    // Out is out, also for who has kept the cookie.
    await page.getByRole('button', { name: 'Your account' }).click();
    await page.getByRole('menuitem', { name: 'Sign out' }).click();
    await page.waitForURL('**/sign-in');
    await context.addCookies([cookie]);
    await isOut(context);
    assert.deepEqual([faults, elsewhere], [[], []]);
    await context.close();
  });

  it('lets nobody in under a name of the cluster', async () => {
    const { context, page } = await stranger();
    await toProvider(page);
    await say(page, 'system:admin');
    await page.waitForURL(/problem=name/);
    await page.getByText('a name that the plane cannot act as').waitFor();
    await isOut(context);
    await context.close();
  });

  it('says so when one has thought better of it', async () => {
    const { context, page } = await stranger();
    await toProvider(page);
    await page.getByRole('link', { name: 'Cancel' }).click();
    await page.waitForURL(/problem=refused/);
    await page.getByText('you have thought better of it').waitFor();
    await isOut(context);
    await context.close();
  });

  it('takes what the provider answers once, and in the browser that asked', async () => {
    const { context, page } = await stranger();
    // The answer, which the browser is kept from delivering. Redirections are seen by the browser's own protocol only.
    const network = await context.newCDPSession(page);
    await network.send('Fetch.enable', { patterns: [{ urlPattern: '*/auth/callback*' }] });
    const answer = new Promise((resolve) =>
      network.once('Fetch.requestPaused', ({ requestId, request }) => {
        resolve(request.url);
        void network.send('Fetch.failRequest', { requestId, errorReason: 'Aborted' });
      }),
    );
    await toProvider(page);
    await say(page, 'maria');
    const url = await answer;
    await network.send('Fetch.disable');
    const other = await open(browser);
    await other.page.goto(url);
    await other.page.waitForURL(/problem=expired/);
    await isOut(other.context);
    await other.context.close();

    await page.goto(url);
    await page.waitForURL(`**${clusters}`);
    await page.goto(url);
    await page.waitForURL(/problem=expired/);
    await context.close();
  });

  it('gives a new session to who signs in, whatever cookie was there before', async () => {
    const { context, page } = await stranger();
    await page.getByLabel('Kubernetes token').fill(plane.token);
    await page.getByRole('button', { name: /^Sign in/ }).click();
    await page.waitForURL(`**${clusters}`);
    const [before] = (await context.cookies(plane.url)).filter(({ value }) => value.length > 20);
    await page.goto(`${plane.url}/auth/start?return=${encodeURIComponent('//evil.example/')}`);
    await say(page, 'maria');
    await page.waitForURL((url) => url.origin === plane.url && !url.pathname.startsWith('/auth/'));
    const now = (await context.cookies(plane.url)).find(({ name }) => name === before.name);
    assert.notEqual(now.value, before.value);
    assert.equal((await session(context)).user.name, 'maria@shop.example');
    await context.addCookies([before]);
    await isOut(context);
    await context.close();
  });
});
