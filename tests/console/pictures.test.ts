import { join } from 'node:path'
import { test } from 'vitest'
import { Dev } from './support.js'

const PICTURES = process.env['PGFEED_PICTURES']

const STORY = [
  "insert into courses (title, status, price) values ('Caches in depth', 'DRAFT', 149)",
  "insert into courses (title, status, price) values ('Indexes in depth', 'DRAFT', 99.5)",
  "insert into roles (profile_id, role) values (3, 'mentor')",
  "delete from courses where title = 'Indexes in depth'",
  "update courses set status = 'PUBLISHED', price = 129 where title = 'Caches in depth'",
  "update courses set title = 'Caches in depth, second edition' where title like 'Caches%'",
  'update courses set price = price + 10 where id = 1',
]
const AFTER = [
  "delete from roles where profile_id = 3 and role = 'mentor'",
  "delete from courses where title like 'Caches%'",
]

/** For a person to look at, and for the manual. */
test.runIf(PICTURES)('the console is pictured in the light and the dark', async () => {
  const dev = await Dev.start()
  try {
    const student = await dev.token('--sub', '3', '--role', 'student')
    for (const [name, colorScheme, viewport] of [
      ['console.png', 'light', { width: 1280, height: 860 }],
      ['console-dark.png', 'dark', { width: 1280, height: 860 }],
    ] as const) {
      const { page } = await dev.window({ colorScheme, viewport })
      if (name !== 'console-dark.png') {
        await page.getByLabel('What would this token see?').fill(student)
        await page.getByRole('button', { name: 'Look' }).click()
        await page.getByText('accepted by the gateway').waitFor()
      }
      await dev.sql('analyze')
      for (let n = 0; n < 12; n += 1) {
        await dev.sql(
          `update courses set price = price + ${String(1 + (n % 3))} where id <= ${String(1 + (n % 4))}`,
        )
        await page.waitForTimeout(400)
      }
      await page.getByRole('button', { name: 'Clear' }).click()
      for (const statement of STORY) await dev.sql(statement)
      await page
        .locator('#tail .change')
        .nth(STORY.length - 1)
        .waitFor()
      if (name === 'console-dark.png') await page.locator('#tail summary').nth(2).click()
      await page.getByText('≈ 4').first().waitFor()
      await page.waitForTimeout(700)
      await page.screenshot({ path: join(PICTURES ?? '', name) })
      for (const statement of AFTER) await dev.sql(statement)
    }
  } finally {
    await dev.end()
  }
})
