import type { Page } from 'playwright-core'

/**
 * What is wrong with a page for who does not see it, sees it badly or has a narrow window: nameless controls, names that do
 * not hold the visible words, tables without captions, headings out of order, ids twice, text of too little contrast,
 * sideways scrolling.
 */
export const faultsOf = (page: Page): Promise<string[]> =>
  page.evaluate(() => {
    const faults: string[] = []
    const all = <E extends Element>(selector: string): E[] => [...document.querySelectorAll<E>(selector)]
    const shown = (element: Element) => element.checkVisibility({ visibilityProperty: true })
    const told = (element: Element) => element.outerHTML.slice(0, 120)
    const words = (text: string | null | undefined) => (text ?? '').replaceAll(/\s+/g, ' ').trim()

    for (const field of all<HTMLInputElement>('input, select, textarea')) {
      const label = field.getAttribute('aria-label') ?? words(field.labels?.[0]?.textContent)
      if (shown(field) && words(label) === '') faults.push(`no label: ${told(field)}`)
      const below = field.getAttribute('aria-describedby')
      if (below !== null && document.getElementById(below) === null) faults.push(`no words: ${told(field)}`)
    }
    for (const control of all<HTMLElement>('button, a[href], summary')) {
      const text = words(control.textContent)
      const name = control.getAttribute('aria-label') ?? text
      if (shown(control) && name === '') faults.push(`no name: ${told(control)}`)
      if (!name.includes(text)) faults.push(`another name than its words: ${told(control)}`)
    }
    for (const table of all<HTMLTableElement>('table'))
      if (words(table.caption?.textContent) === '') faults.push('a table has no caption')
    for (const region of all('section, nav, [role=region]'))
      if (!region.hasAttribute('aria-label') && !region.hasAttribute('aria-labelledby'))
        faults.push(`no name: ${told(region)}`)
    const ids = all('[id]').map(({ id }) => id)
    for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) faults.push(`twice: #${id}`)
    const levels = all('h1, h2, h3, h4').map(({ tagName }) => Number(tagName.slice(1)))
    if (levels.filter((level) => level === 1).length !== 1) faults.push('not one h1')
    levels.forEach((level, i) => {
      if (i > 0 && level > (levels[i - 1] ?? 0) + 1) faults.push(`h${level} after h${levels[i - 1]}`)
    })
    if (all('[style]').length > 0) faults.push('styles in the page')
    if (document.documentElement.scrollWidth > window.innerWidth) faults.push('scrolls sideways')

    const parts = (color: string) => (color.match(/[\d.]+/g) ?? []).map(Number)
    const luminance = (color: string) => {
      const [r = 0, g = 0, b = 0] = parts(color).map((part) => {
        const value = part / 255
        return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
      })
      return 0.2126 * r + 0.7152 * g + 0.0722 * b
    }
    const groundOf = (element: Element | null): string => {
      if (element === null) return 'rgb(255, 255, 255)'
      const color = getComputedStyle(element).backgroundColor
      return (parts(color)[3] ?? 1) === 0 ? groundOf(element.parentElement) : color
    }
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
    while (texts.nextNode()) {
      const element = texts.currentNode.parentElement
      const text = words(texts.currentNode.textContent)
      if (element === null || text === '' || !shown(element) || element.matches('option, :disabled, script'))
        continue
      const [light = 0, dark = 0] = [getComputedStyle(element).color, groundOf(element)]
        .map(luminance)
        .sort((a, b) => b - a)
      const contrast = (light + 0.05) / (dark + 0.05)
      if (contrast < 4.5) faults.push(`contrast ${contrast.toFixed(2)}: ${text.slice(0, 40)}`)
    }
    return [...new Set(faults)]
  })
