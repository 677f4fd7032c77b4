import { existsSync } from 'node:fs'
import { chromium, type Browser } from 'playwright-core'

const usual = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
]

/** The Chromium of this machine; none is downloaded. */
export function launchChromium(): Promise<Browser> {
  const executablePath = [process.env['CHROMIUM'] ?? [], usual].flat().find((path) => existsSync(path))
  if (executablePath === undefined)
    throw new Error(
      'The console is tested in Chromium: install it (apt-get install chromium) or name it in CHROMIUM.',
    )
  // Containers have neither a sandbox to nest in nor a graphics card.
  const args = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking']
  return chromium.launch({ executablePath, args })
}
