// From signing in to an image that runs, and everything else that a person does with it. The tests follow each other.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { after, before, describe, it } from 'node:test';
import { judge, launch, open, plane } from './browser.mjs';

const RUNNING = 240_000;
const [first, second] = plane.archives;
const ns = `/ns/${plane.namespace}`;

describe('the portal', { concurrency: false }, () => {
  let browser, context, page, faults, elsewhere;

  before(async () => {
    browser = await launch();
    ({ context, page, faults, elsewhere } = await open(browser));
  });
  after(async () => browser?.close());

  const go = (path) => page.goto(plane.url + path);
  const card = (version) => page.getByRole('article', { name: `web ${version}` });
  const step = (version, name) => card(version).locator(`[data-step=${name}]`);
  const fillRelease = async (file, version) => {
    await page.locator('orbit-drop-zone input[type=file]').setInputFiles(file);
    await page.getByText('docker archive').waitFor();
    assert.equal(await page.getByLabel('Application', { exact: true }).inputValue(), 'web');
    await page.getByLabel('Version', { exact: true }).fill(version);
    for (const environment of ['dev', 'prod']) {
      const choice = page.getByRole('button', { name: environment, exact: true });
      if ((await choice.getAttribute('aria-pressed')) !== 'true') {
        await choice.click();
      }
    }
  };
  /** The bytes that the next requests of an upload carry. */
  const chunks = () => {
    const ranges = [];
    page.on('request', (request) => {
      if (request.method() === 'PATCH') {
        ranges.push(request.headers()['content-range'] ?? '');
      }
    });
    return ranges;
  };

  it('lets in who has a token, and leads back to the page that was meant', async () => {
    await go(`${ns}/clusters`);
    await page.waitForURL(/sign-in\?return=/);
    await judge(page, 'sign-in');
    await page.getByLabel('Kubernetes token').fill('no-such-token');
    await page.getByRole('button', { name: /^Sign in/ }).click();
    await page.getByRole('alert').filter({ hasText: 'make a new one' }).waitFor();
    await page.getByLabel('Kubernetes token').fill(plane.token);
    await page.getByRole('button', { name: /^Sign in/ }).click();
    await page.waitForURL(`**${ns}/clusters`);
    await page.getByRole('status').filter({ hasText: 'Live' }).waitFor();
    await page.getByRole('region', { name: 'dev', exact: true }).waitFor();
    await judge(page, 'clusters');
  });

  it('says what to do where nothing is yet', async () => {
    await go(ns);
    await page.getByText('Nothing has been uploaded here yet').waitFor();
    await judge(page, 'applications-empty');
  });

  it('refuses before sending it what is no image, and warns of secrets', async () => {
    await go(`${ns}/upload`);
    const picker = page.locator('orbit-drop-zone input[type=file]');
    await picker.setInputFiles({ name: 'notes.tar', mimeType: 'text/plain', buffer: Buffer.alloc(4096, 'x') });
    await page.getByText('This is no tar archive').waitFor();
    await page.getByRole('button', { name: 'Take another' }).click();
    const cut = readFileSync(first).subarray(0, 100_000);
    await picker.setInputFiles({ name: 'web.tar', mimeType: 'application/x-tar', buffer: cut });
    await page.getByText('This archive is cut off').waitFor();
    await page.getByLabel(/Environment variables/).fill('LOG_LEVEL=info\nDB_PASSWORD=hunter2');
    await page.getByText('looks like a secret').waitFor();
    await judge(page, 'upload-mistakes');
  });

  it('uploads an archive, with a reload in the middle, and shows it come to run', async () => {
    await go(`${ns}/upload`);
    await fillRelease(first, '1.0.0');
    await page.getByLabel(/Environment variables/).fill('LOG_LEVEL=info');
    await judge(page, 'upload');
    await page.getByText('Workload', { exact: true }).click();
    await page.getByLabel('Memory limit').fill('lots');
    await page.getByText('An amount, as in 256Mi.').waitFor();
    await page.getByLabel('Memory limit').fill('128Mi');
    await judge(page, 'upload-workload');
    const network = await context.newCDPSession(page);
    await network.send('Network.enable');
    const slowly = (uploadThroughput) =>
      network.send('Network.emulateNetworkConditions', {
        offline: false,
        latency: 0,
        downloadThroughput: -1,
        uploadThroughput,
      });
    await slowly(150_000);
    await page.getByRole('button', { name: 'Upload', exact: true }).click();
    await card('1.0.0').getByText('left').waitFor();
    await judge(page, 'upload-sending');

    await card('1.0.0').getByRole('button', { name: 'Pause' }).click();
    await card('1.0.0').getByText('Paused').waitFor();
    await card('1.0.0').getByRole('button', { name: 'Resume' }).click();
    await card('1.0.0').getByText('left').waitFor();
    page.once('dialog', (dialog) => dialog.accept());
    await page.reload();
    await card('1.0.0').getByText('Choose the file again').first().waitFor();
    await judge(page, 'upload-after-reload');
    const ranges = chunks();
    await slowly(-1);
    await card('1.0.0').locator('input[type=file]').setInputFiles(first);
    await step('1.0.0', 'Stored').and(page.locator('[data-tone=good]')).waitFor({ timeout: RUNNING });
    assert.ok(Number(ranges[0]?.split('-')[0]) > 0, `it began anew: ${ranges[0]}`);
    await step('1.0.0', 'Running').and(page.locator('[data-tone=good]')).waitFor({ timeout: RUNNING });
    await judge(page, 'upload-running');
  });

  it('shows where it is', async () => {
    await go(ns);
    const row = page.getByRole('row', { name: /^web/ });
    await row.getByText('healthy').nth(1).waitFor({ timeout: RUNNING });
    await judge(page, 'applications');
    await page.getByLabel('Search applications').fill('nothing-like-it');
    await page.getByText('No application is called like').waitFor();
    assert.match(page.url(), /search=nothing-like-it/);
    await page.getByRole('button', { name: 'Show all' }).click();
    await row.waitFor();
    await page.getByRole('link', { name: 'prod: show only this environment' }).click();
    await page.waitForURL(/environment=prod/);
    await page.getByRole('columnheader', { name: /^dev/ }).waitFor({ state: 'detached' });
    await judge(page, 'applications-of-environment');
    await page.getByRole('link', { name: /^Only prod/ }).click();
    await page.getByRole('columnheader', { name: /^dev/ }).waitFor();
  });

  it('edits an overlay: what it changes is seen first, and nothing of others is overwritten', async () => {
    await go(`${ns}/environmentoverlays/web.prod`);
    await page.getByText('kind: EnvironmentOverlay').waitFor();
    await judge(page, 'object');
    await page.getByRole('button', { name: 'Edit' }).click();
    await page.getByLabel(/Helm values/).fill('resources:\n  limits:\n    memory: 96Mi\n');
    await page.locator('.line.add', { hasText: 'memory: 96Mi' }).waitFor();
    await judge(page, 'overlay-edit');

    // Somebody else, by the same API.
    const path = `${plane.url}/api/v1/namespaces/${plane.namespace}/objects/environmentoverlays/web.prod`;
    const other = await open(browser);
    await other.context.request.post(`${plane.url}/api/v1/session`, { data: { token: plane.token } });
    const { csrfToken } = await (await other.context.request.get(`${plane.url}/api/v1/session`)).json();
    const found = await other.context.request.get(path);
    const theirs = await found.json();
    theirs.spec.values = { resources: { limits: { memory: '80Mi' } } };
    const written = await other.context.request.put(path, {
      data: theirs,
      headers: { 'If-Match': found.headers().etag, 'X-Orbit-CSRF': csrfToken },
    });
    assert.equal(written.status(), 200, await written.text());
    await other.context.close();

    await page.getByRole('button', { name: 'Apply' }).click();
    await page.getByText('has changed it meanwhile').waitFor();
    await page.getByRole('cell', { name: '80Mi' }).waitFor();
    await judge(page, 'overlay-conflict');
    await page.getByRole('button', { name: 'Put my edits on top of theirs' }).click();
    await page.locator('.line.del', { hasText: 'memory: 80Mi' }).waitFor();
    await page.getByRole('button', { name: 'Apply' }).click();
    await page.getByText('Applied. The plane renders it now.').waitFor();
    await page.locator('orbit-code', { hasText: '96Mi' }).first().waitFor();
  });

  it('moves to the next version, compares, and rolls back', async () => {
    await go(`${ns}/upload`);
    await fillRelease(second, '1.1.0');
    await page.getByRole('button', { name: 'Upload', exact: true }).click();
    await step('1.1.0', 'Running').and(page.locator('[data-tone=good]')).waitFor({ timeout: RUNNING });

    await go(`${ns}/apps/web`);
    const prod = page.getByRole('region', { name: 'prod', exact: true });
    await prod.getByText('1.1.0').first().waitFor({ timeout: RUNNING });
    await page.getByRole('link', { name: 'Compare' }).click();
    await page.getByLabel('From').click();
    await page.getByRole('option', { name: '1.0.0' }).click();
    await page.getByLabel('To', { exact: true }).click();
    await page.getByRole('option', { name: '1.1.0' }).click();
    await page.waitForURL(/from=1\.0\.0&to=1\.1\.0/);
    await page.getByRole('heading', { name: 'Images' }).waitFor();
    await page.getByRole('rowheader', { name: /org\.opencontainers\.image\.version/ }).waitFor();
    await judge(page, 'compare');

    await go(`${ns}/apps/web`);
    await prod.getByRole('button', { name: 'Pin or roll back' }).click();
    await page.getByLabel('Pin one version').check();
    await page.getByLabel('Pinned version').click();
    await page.getByRole('option', { name: '1.0.0' }).click();
    await page.locator('.line.add', { hasText: 'pin: 1.0.0' }).waitFor();
    await judge(page, 'roll-back');
    await page.getByRole('button', { name: 'Apply' }).click();
    // Without a reload.
    await prod.locator('.big', { hasText: '1.0.0' }).waitFor({ timeout: RUNNING });
    await prod.getByText('healthy').waitFor({ timeout: RUNNING });
    await judge(page, 'application');
  });

  it('shows the files of a chart, and hands it out', async () => {
    await go(`${ns}/helmcharts/web.1.0.0`);
    await page.getByRole('link', { name: 'Files' }).click();
    await page.waitForURL(`**${ns}/charts/web/1.0.0`);
    const text = page.locator('.shown pre');
    // What was asked for when it was uploaded.
    await text.filter({ hasText: '128Mi' }).waitFor();
    await page.getByLabel('Filter files').fill('deployment');
    await page.getByRole('link', { name: /deployment\.yaml/ }).click();
    await page.waitForURL(/file=templates%2Fdeployment\.yaml/);
    await text.filter({ hasText: 'kind: Deployment' }).waitFor();
    await page.getByText('helm install web').first().waitFor();
    await page.getByLabel('Filter files').fill('');
    await judge(page, 'chart-files');
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('link', { name: /^Download/ }).click(),
    ]);
    assert.equal(download.suggestedFilename(), 'web-1.0.0.tgz');
    const tar = gunzipSync(readFileSync(await download.path()));
    assert.equal(tar.subarray(257, 262).toString(), 'ustar');
    assert.ok(tar.includes('web/templates/deployment.yaml'));
    await go(`${ns}/charts/web/9.9.9`);
    await page.getByRole('alert').filter({ hasText: 'has no version 9.9.9' }).waitFor();
  });

  it('shows what is rendered for an environment, object by object', async () => {
    await go(`${ns}/environmentoverlays/web.prod`);
    await page.getByRole('link', { name: 'Rendered YAML' }).click();
    await page.waitForURL(`**${ns}/overlays/web/prod`);
    await page.getByLabel('Filter objects').fill('deployment');
    await page.getByRole('link', { name: 'Deployment.apps/web' }).click();
    await page.waitForURL(/object=Deployment\.apps%2Fweb/);
    await page.locator('.shown pre', { hasText: 'kind: Deployment' }).waitFor();
    await page.getByLabel('Filter objects').fill('');
    await judge(page, 'overlay-manifests');
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('link', { name: /^Download/ }).click(),
    ]);
    assert.equal(download.suggestedFilename(), 'web.prod.yaml');
    const yaml = readFileSync(await download.path(), 'utf8');
    assert.match(yaml, /^kind: Deployment$/m);
  });

  it('reports on how deliveries go', async () => {
    await go(`${ns}/apps/web`);
    await page.getByRole('link', { name: 'Reports' }).click();
    await page.getByRole('heading', { name: 'Deployment frequency' }).waitFor();
    await page.getByRole('img', { name: /^Lead time for changes/ }).waitFor();
    await judge(page, 'reports');
    await page.getByLabel('Days').click();
    await page.getByRole('option', { name: 'Last 7 days' }).click();
    await page.waitForURL(/days=7/);
    await page.getByText('As a table').first().click();
    assert.equal(
      await page.getByRole('region', { name: 'Deployment frequency, as a table' }).locator('tbody tr').count(),
      7,
    );
    await page.getByLabel('Environment').fill('moon');
    await page.getByLabel('Environment').press('Enter');
    await page.getByText('Nothing of this in these days').waitFor();
    assert.match(page.url(), /environment=moon/);
  });

  it('tells who did what, and hands it out', async () => {
    await go(`${ns}/audit?application=web&type=selected`);
    await page.getByRole('cell', { name: 'selected' }).first().waitFor();
    assert.deepEqual(
      [...new Set(await page.locator('tbody tr td:nth-child(3)').allTextContents())].map((text) => text.trim()),
      ['selected'],
    );
    await judge(page, 'audit');
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('link', { name: 'JSON lines' }).click(),
    ]);
    const lines = readFileSync(await download.path(), 'utf8')
      .trim()
      .split('\n');
    assert.ok(lines.length >= 3 && lines.every((line) => JSON.parse(line).type === 'selected'));
    await page
      .getByRole('button', { name: /^Show event/ })
      .first()
      .click();
    await page.getByRole('dialog').getByText('prevHash').waitFor();
    await page.keyboard.press('Escape');
  });

  it('gives up an upload when told to', async () => {
    await go(`${ns}/upload`);
    await fillRelease(second, '1.2.0');
    const network = await context.newCDPSession(page);
    await network.send('Network.emulateNetworkConditions', {
      offline: false,
      latency: 0,
      downloadThroughput: -1,
      uploadThroughput: 300_000,
    });
    await page.getByRole('button', { name: 'Upload', exact: true }).click();
    await card('1.2.0').getByText('left').waitFor();
    await card('1.2.0').getByRole('button', { name: 'Cancel' }).click();
    await card('1.2.0').waitFor({ state: 'detached' });
  });

  it('can be used without a mouse', async () => {
    await go(ns);
    await page.getByRole('link', { name: 'web', exact: true }).waitFor();
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement?.textContent?.trim()), 'Skip to content');
    await page.keyboard.press('Enter');
    assert.equal(await page.evaluate(() => document.activeElement?.id), 'content');
    await page.getByRole('link', { name: 'web', exact: true }).focus();
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'web', level: 1 }).waitFor();
  });

  it('says that a page is not there, and that one may not see it', async () => {
    await go(`${ns}/apps/no-such-application`);
    await page.getByRole('alert').waitFor();
    await judge(page, 'application-unknown');
    await go('/ns/kube-system');
    await page.getByText('ClusterRoles orbit-viewer').waitFor();
    await judge(page, 'forbidden');
  });

  it('ends the session', async () => {
    await go(ns);
    await page.getByRole('button', { name: 'Your account' }).click();
    await page.getByRole('menuitem', { name: 'Sign out' }).click();
    await page.waitForURL('**/sign-in');
    await go(`${ns}/audit`);
    await page.waitForURL(/sign-in\?return=/);
  });

  it('asked no other host, and met no fault of its own', () => {
    assert.deepEqual(elsewhere, []);
    assert.deepEqual(faults, []);
  });
});
