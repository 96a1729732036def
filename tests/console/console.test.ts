import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Locator, Page, WebSocketRoute } from 'playwright-core'
import { Dev } from './support.js'
import type { Window } from './support.js'

let dev: Dev
let window: Window
let page: Page

beforeAll(async () => {
  dev = await Dev.start()
  window = await dev.window()
  page = window.page
  await page.getByRole('rowheader', { name: 'courses' }).waitFor()
})
afterAll(async () => {
  await dev.end()
})

/** The changes whose line has a text. */
function changes(text: string): Locator {
  return page.locator('#tail .change', { hasText: text })
}

function row(table: string): Locator {
  return page.getByRole('row').filter({ has: page.getByRole('rowheader', { name: table }) })
}

async function choose(table: string): Promise<void> {
  await page.getByLabel('Table', { exact: true }).selectOption(table)
}

async function filter(text: string): Promise<void> {
  await page.getByLabel('Filter').fill(text)
  await page.getByRole('button', { name: 'Apply' }).click()
}

async function look(token: string): Promise<void> {
  await page.getByLabel('What would this token see?').fill(token)
  await page.getByRole('button', { name: 'Look' }).click()
}

test('a change shows up by itself, an update with what became what', async () => {
  await dev.sql("insert into courses (title, status) values ('Compilers', 'DRAFT')")
  await changes('Compilers').waitFor()
  await dev.sql("update courses set status = 'PUBLISHED' where title = 'Compilers'")
  const update = changes('PUBLISHED').first()
  await update.locator('del', { hasText: 'DRAFT' }).waitFor()
  await update.locator('ins', { hasText: 'PUBLISHED' }).waitFor()
  await update.locator('summary').click()
  await update.locator('.whole').getByText('Compilers').waitFor()
  await row('courses').getByRole('cell', { name: '2', exact: true }).waitFor()
})

test('a row that gets another key is shown to leave and to enter', async () => {
  await dev.sql("insert into courses (id, title) values (7001, 'Rekeyed')")
  await dev.sql('update courses set id = 7002 where id = 7001')
  await changes('7001').filter({ hasText: 'leave' }).waitFor()
  await changes('7002').filter({ hasText: 'enter' }).waitFor()
})

test('a value that looks like markup is shown as text, and runs nothing', async () => {
  const hostile = `<img src=x onerror="window.hit=1"><script>window.hit=1</script>`
  await dev.sql(`insert into courses (title) values ('${hostile}')`)
  const change = changes('<img src=x')
  await change.waitFor()
  await change.locator('summary').click()
  await change.locator('.whole').getByText(hostile).waitFor()
  expect(await page.locator('#tail img, #tail script').count()).toBe(0)
  expect(await page.evaluate(() => 'hit' in globalThis)).toBe(false)
  // Even a mistake of ours could not make markup of it: the browser refuses the assignment.
  const refused = await page.evaluate(() => {
    try {
      document.createElement('p').innerHTML = '<b>x</b>'
      return ''
    } catch (error) {
      return (error as Error).name
    }
  })
  expect(refused).toBe('TypeError')
})

test('numbers keep their digits', async () => {
  await dev.sql("insert into courses (id, title, price) values (9007199254740993, 'Large', 0.10)")
  await changes('9007199254740993').getByText('0.10').waitFor()
  await dev.sql('delete from courses where id = 9007199254740993')
})

test('a filter narrows what is followed, and a bad one is told why', async () => {
  await choose('courses')
  await filter('title=eq.Wanted')
  await dev.sql("insert into courses (title) values ('Unwanted'), ('Wanted')")
  await changes('Wanted').first().waitFor()
  expect(await changes('Unwanted').count()).toBe(0)
  await filter('nope=eq.1')
  await page.getByRole('alert').filter({ hasText: 'bad_filter' }).waitFor()
  expect(await page.getByLabel('Filter').getAttribute('aria-invalid')).toBe('true')
  await filter('')
  await page.getByRole('alert').filter({ hasText: 'bad_filter' }).waitFor({ state: 'detached' })
  await dev.sql("update courses set title = 'Seen again' where title = 'Wanted'")
  await changes('Seen again').waitFor()
  await choose('')
})

test('a pause holds back what comes, and no more than is kept is drawn', async () => {
  await page.getByRole('button', { name: 'Pause' }).click()
  await dev.sql(
    "insert into courses (title) select 'Bulk ' || g.n from generate_series(1, 400) g (n)",
  )
  await page.getByRole('button', { name: 'Go on (300 new)' }).waitFor()
  expect(await changes('Bulk').count()).toBe(0)
  await page.getByRole('button', { name: 'Go on' }).click()
  await changes('Bulk 400').waitFor()
  expect(await page.locator('#tail > li').count()).toBe(300)
  await page.getByRole('button', { name: 'Clear' }).click()
  await page.getByText('Nothing yet.').waitFor()
})

test('a token shows what its reader may see, and is kept nowhere', async () => {
  expect(await row('registrations').count()).toBe(0)
  const token = await dev.token('--sub', '2', '--role', 'student')
  await look(token)
  await page.getByText('accepted by the gateway').waitFor()
  await row('registrations').getByText('some rows, 6 columns').waitFor()
  // How much happens among rows that it may not see is not told either.
  expect(await row('registrations').getByRole('cell', { name: '–', exact: true }).count()).toBe(4)
  await row('profiles').getByText('all rows, 2 columns').waitFor()
  await dev.sql(
    `insert into registrations (student_id, course_id)
     select p.id, c.id from profiles p, (select id from courses order by id desc limit 1) c
     where p.id in (1, 2)`,
  )
  await changes('registrations').waitFor()
  expect(await changes('registrations').count()).toBe(1)
  const kept = await page.evaluate(() =>
    JSON.stringify([location.href, document.cookie, { ...localStorage }, { ...sessionStorage }]),
  )
  expect(kept).not.toContain(token.slice(0, 20))
  expect(await page.getByLabel('What would this token see?').inputValue()).toBe('')
  await page.getByRole('button', { name: 'Forget it' }).click()
  await row('registrations').waitFor({ state: 'detached' })
})

test('a token that is refused or ends is told so', async () => {
  await look('no.token.atall')
  await page.getByText(/refused: .*no JWT that can be read/).waitFor()
  await page.getByText('Refused', { exact: true }).waitFor()
  await page.getByText('Nothing that may be read without a token').waitFor()
  await look(await dev.token('--sub', '2', '--ttl', '3'))
  await page.getByText('accepted by the gateway').waitFor()
  await page.getByText('closed with 4401').waitFor()
  await page.getByText(/refused: .*it has ended/).waitFor()
  await page.getByRole('button', { name: 'Forget it' }).click()
  await page.getByText('Live', { exact: true }).waitFor()
  await row('courses').waitFor()
})

test('a gateway that falls silent is called stale, not live, and nothing is missed', async () => {
  dev.freeze()
  await page.getByText('Stale', { exact: true }).waitFor()
  await page.getByText('Reconnecting', { exact: true }).waitFor()
  await dev.sql("insert into courses (title) values ('Meanwhile')")
  dev.thaw()
  await page.getByText('Live', { exact: true }).waitFor()
  await changes('Meanwhile').waitFor()
  expect(await changes('Meanwhile').count()).toBe(1)
})

test('what came while the connection was cut is shown when it is back, once', async () => {
  let isCut = false
  const open = new Set<WebSocketRoute>()
  const cut = await dev.window({
    onSocket: (route) => {
      if (isCut) {
        void route.close({ code: 1011 })
        return
      }
      open.add(route)
      route.connectToServer()
    },
  })
  const there = cut.page.locator('#tail .change')
  await dev.sql("insert into roles (profile_id, role) values (1, 'mentor')")
  await there.filter({ hasText: 'insert' }).waitFor()
  isCut = true
  for (const route of open) await route.close({ code: 1011 })
  await cut.page.getByText('Reconnecting', { exact: true }).waitFor()
  await dev.sql("delete from roles where profile_id = 1 and role = 'mentor'")
  // The gateway has told everybody of it by then, who was there to hear.
  const roles = cut.page.getByRole('row').filter({ hasText: 'roles' })
  await roles.getByRole('cell', { name: '2', exact: true }).waitFor()
  expect(await there.filter({ hasText: 'delete' }).count()).toBe(0)
  isCut = false
  await there.filter({ hasText: 'delete' }).waitFor()
  await cut.page.getByText('Live', { exact: true }).waitFor()
  expect(await there.count()).toBe(2)
})

test('it can be used by keyboard alone', async () => {
  await page.reload()
  await row('courses').waitFor()
  const reached = new Set<string>()
  for (let n = 0; n < 25; n += 1) {
    await page.keyboard.press('Tab')
    reached.add(await page.evaluate(() => document.activeElement?.id ?? ''))
  }
  for (const id of ['tail-table', 'tail-pause', 'tail-clear', 'token']) {
    expect([...reached]).toContain(id)
  }
  const unnamed = await page.evaluate(() =>
    [...document.querySelectorAll('input, select, button')]
      .filter((it) => !it.textContent && !(it as HTMLInputElement).labels?.length)
      .map((it) => it.outerHTML),
  )
  expect(unnamed).toEqual([])
})

test('a phone shows all of it without a scroll to the side', async () => {
  for (const colorScheme of ['light', 'dark'] as const) {
    const phone = await dev.window({ colorScheme, viewport: { width: 360, height: 740 } })
    await phone.page.getByRole('rowheader', { name: 'courses' }).waitFor()
    await dev.sql("update courses set title = title || '!' where id = 1")
    await phone.page.locator('#tail .change').first().waitFor()
    const overflow = await phone.page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    )
    expect(overflow).toBe(0)
    expect(phone.mistakes).toEqual([])
  }
})

test('the page made no mistake on the way and asked nobody else', () => {
  // The test's own assignment of markup is the one violation, reported as a console error.
  const own = (it: string): boolean => it.includes('TrustedHTML')
  expect(window.mistakes.filter((it) => !own(it) && !isCut(it))).toEqual([])
})

/** A browser prints each connection that fails, as they do while the gateway is frozen. */
function isCut(mistake: string): boolean {
  return /WebSocket connection to .* failed|ERR_CONNECTION|ERR_TIMED_OUT/.test(mistake)
}
