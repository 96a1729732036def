import { join } from 'node:path'
import type { FrameLocator, Page } from 'playwright-core'
import { Academy } from './support.js'

const WIDTH = 1500
const HEIGHT = 620

/** An administrator's window and a student's, side by side, while something happens. */
export async function take(directory: string): Promise<void> {
  const academy = await Academy.open()
  try {
    const { page } = await academy.window('ada')
    const [admin, ada] = await sideBySide(page)
    await enrol(ada, 'PostgreSQL for application people', 4)
    await enrol(ada, 'React without fear', 2)
    await ada.locator('.toast').first().waitFor({ state: 'detached' })
    await admin.getByLabel('Title').fill('Compilers')
    await admin.getByLabel('Summary').fill('From a grammar to machine code.')
    await admin.getByRole('button', { name: 'Add' }).click()
    await ada.getByText('New course available: Compilers').waitFor()
    await admin.getByRole('listitem', { name: 'Compilers: 0' }).waitFor()
    // The bars and lines move for less than half a second.
    await page.waitForTimeout(600)
    await page.screenshot({ path: join(directory, 'academy.png') })
    await academy.gateway.end('SIGKILL')
    await ada.locator('.light.offline').waitFor()
    await page.screenshot({
      path: join(directory, 'academy-offline.png'),
      clip: { x: 0, y: 0, width: WIDTH, height: 120 },
    })
    await academy.gateway.begin()
  } finally {
    await academy.close()
  }
}

async function sideBySide(page: Page): Promise<[FrameLocator, FrameLocator]> {
  const address = page.url().replace(/\?.*/, '')
  await page.setViewportSize({ width: WIDTH, height: HEIGHT })
  await page.evaluate((url) => {
    document.body.replaceChildren(
      ...['edsger', 'ada'].map((person) => {
        const frame = document.createElement('iframe')
        frame.src = `${url}?as=${person}`
        frame.id = person
        frame.style.cssText = 'width: 50%; height: 100vh; border: 0; box-sizing: border-box'
        if (person === 'ada') frame.style.borderLeft = '2px solid #888'
        return frame
      }),
    )
  }, address)
  const frames: [FrameLocator, FrameLocator] = [
    page.frameLocator('#edsger'),
    page.frameLocator('#ada'),
  ]
  for (const frame of frames) await frame.locator('.light.live').waitFor()
  return frames
}

async function enrol(student: FrameLocator, title: string, steps: number): Promise<void> {
  const card = student.getByRole('article').filter({ hasText: title })
  await card.getByRole('button', { name: 'Enrol' }).click()
  const bar = student.locator('.progress').filter({ hasText: title })
  for (let n = 1; n <= steps; n += 1) {
    await bar.getByRole('button', { name: 'Learn' }).click()
    await bar.locator(`[aria-valuenow="${String(n * 10)}"]`).waitFor()
  }
}
