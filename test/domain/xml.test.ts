import { parseDomFromString } from '@node-saml/node-saml/lib/xml.js'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  attributeOf,
  escapeXml,
  everyElement,
  parseXml,
  textOf,
  XmlFailure,
  type XmlElement,
} from '#src/domain/xml.ts'

type Tree = { namespace: string; local: string; attributes: string[]; text: string; children: Tree[] }

const plain = ({ namespace, local, attributes, text, children }: XmlElement): Tree => ({
  namespace,
  local,
  attributes: attributes.map((one) => `${one.namespace} ${one.local}=${one.value}`).sort(),
  text,
  children: children.map(plain),
})

/** The same document as the library that verifies signatures reads it. */
async function asTheLibrary(xml: string): Promise<Tree> {
  const read = (element: Element): Tree => ({
    namespace: element.namespaceURI ?? '',
    local: element.localName,
    attributes: Array.from(element.attributes)
      .filter(({ name }) => name !== 'xmlns' && !name.startsWith('xmlns:'))
      .map((one) => `${one.namespaceURI ?? ''} ${one.localName}=${one.value}`)
      .sort(),
    text: Array.from(element.childNodes)
      .filter(({ nodeType }) => nodeType === 3)
      .map(({ nodeValue }) => nodeValue)
      .join(''),
    children: (Array.from(element.childNodes).filter(({ nodeType }) => nodeType === 1) as Element[]).map(
      read,
    ),
  })
  const { documentElement } = await parseDomFromString(xml)
  return read(documentElement as unknown as Element)
}

const name = fc.constantFrom('a', 'Assertion', 'ID', 'x-y', '_z', 'b.c')
const prefix = fc.constantFrom('', 'p:', 'q:')
const text = fc
  .string({ unit: 'grapheme', maxLength: 8 })
  .map((raw) => raw.replaceAll(/[^\t\n\x20-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]|[\x85\u2028]/gu, ''))
const written = fc.oneof(
  text.map(escapeXml),
  fc.constantFrom('&#65;', '&#x1F600;', '&quot;', '&apos;', '&#13;', '&#10;', ' ', '\n'),
)
const attribute = fc
  .record({ key: name, value: text })
  .map(({ key, value }) => ` ${key}="${escapeXml(value.replaceAll(/[\t\n]/g, ' '))}"`)
const element: fc.Arbitrary<string> = fc.letrec<{ element: string }>((tie) => ({
  element: fc
    .record({
      tag: fc.tuple(prefix, name).map((parts) => parts.join('')),
      names: fc.constantFrom('', ' xmlns="urn:d"', ' xmlns:p="urn:p2"', ` xmlns:q='urn:q'`, ' xmlns=""'),
      attribute: fc.option(attribute, { nil: '' }),
      inside: fc.array(fc.oneof({ depthSize: 'small' }, written, tie('element')), { maxLength: 4 }),
    })
    .map(({ tag, names, attribute: own, inside }) =>
      inside.length === 0 ? `<${tag}${names}${own}/>` : `<${tag}${names}${own}>${inside.join('')}</${tag}>`,
    ),
})).element
const document = element.map((inside) => `<root xmlns:p="urn:p" xmlns:q="urn:q0">${inside}</root>`)

describe('what is read of XML', () => {
  it('is what the library reads that verifies signatures, for every document', async () => {
    await fc.assert(
      fc.asyncProperty(document, async (xml) => {
        expect(plain(parseXml(xml))).toEqual(await asTheLibrary(xml))
      }),
      { numRuns: 300 },
    )
  })

  it.each(['\r', '\u0085', '\u2028'])(
    'is nothing where a line ends as %j, which readers differ about',
    (end) => {
      expect(() => parseXml(`<a>one${end}two</a>`)).toThrow(XmlFailure)
    },
  )

  it('is that or nothing, for every document with something wrong in it', async () => {
    const odd = fc.constantFrom(
      '<',
      '>',
      '/',
      '"',
      "'",
      '&',
      ';',
      '=',
      '!',
      '?',
      '-',
      ']',
      '[',
      'x',
      ':',
      ' ',
      '\n',
      '\0',
      '#',
      'xmlns:p=""',
      '<!--',
      '-->',
      '<![CDATA[',
      ']]>',
      '<!DOCTYPE x>',
      '<?x?>',
      '&x;',
    )
    let read = 0
    await fc.assert(
      fc.asyncProperty(document, fc.nat(), odd, fc.boolean(), async (xml, at, piece, replaces) => {
        const where = at % xml.length
        const changed = xml.slice(0, where) + piece + xml.slice(replaces ? where + piece.length : where)
        let tree: XmlElement
        try {
          tree = parseXml(changed)
        } catch (error) {
          if (error instanceof XmlFailure) return
          throw error
        }
        read++
        expect(plain(tree)).toEqual(await asTheLibrary(changed))
      }),
      { numRuns: 1_000 },
    )
    expect(read).toBeGreaterThan(20)
  })

  it('fails with words, and never otherwise, on whatever text there is', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (anything) => {
        try {
          parseXml(`<x>${String.fromCharCode(...anything)}`)
        } catch (error) {
          expect(error).toBeInstanceOf(XmlFailure)
        }
      }),
    )
  })

  it('takes text for text, whatever is in it', () => {
    fc.assert(
      fc.property(text, (said) => {
        const root = parseXml(`<a b="${escapeXml(said.replaceAll(/[\t\n]/g, ''))}">${escapeXml(said)}</a>`)
        expect(root.text).toBe(said)
        expect(attributeOf(root, 'b')).toBe(said.replaceAll(/[\t\n]/g, ''))
      }),
    )
  })

  it('leaves comments out where somebody asks for that, and only there', () => {
    const xml = '<!-- a --><x><!-- <y/> -->text<!----></x><!-- b -->'
    expect(() => parseXml(xml)).toThrow(/a comment/)
    const root = parseXml(xml, { comments: true })
    expect([...everyElement(root)].map(({ local }) => local)).toEqual(['x'])
    expect(textOf(root)).toBe('text')
    expect(() => parseXml('<x><!-- -- --></x>', { comments: true })).toThrow(XmlFailure)
    expect(() => parseXml('<x><!-- </x>', { comments: true })).toThrow(/has no end/)
  })

  it.each<[string, string]>([
    ['<x xmlns:xml="urn:x"/>', 'may not be declared'],
    ['<x xmlns:xmlns="urn:x"/>', 'may not be declared'],
    ['<x xmlns="http://www.w3.org/XML/1998/namespace"/>', 'may not be declared'],
    ['<x xmlns:a="urn:x" xmlns:b="urn:x" a:y="1" b:y="2"/>', 'under two prefixes'],
    ['<x y="a\tb"/>', 'a line break or a tab'],
    ['<x></x >x', 'text outside'],
    ['<x></x/>', 'slash at its end'],
    ['<x>]]></x>', 'holds "]]>"'],
    ['<ä/>', 'not in ASCII'],
    ['<x>\r</x>', 'character that XML does not know'],
    ['<x>&#xD800;</x>', 'names a character that XML does not know'],
    ['<x>&#x110000;</x>', 'names a character that XML does not know'],
    ['<x>&</x>', 'uses the entity'],
    ['', 'has no end'],
    [`<x ${Array.from({ length: 65 }, (_, n) => `a${n}=""`).join(' ')}/>`, 'more than 64 attributes'],
  ])('is not %s', (xml, words) => {
    expect(() => parseXml(xml)).toThrow(words)
  })

  it('costs no more than its length, whatever it is made of', () => {
    const started = performance.now()
    for (const piece of ['<', '<a ', '&', '<!--', '"', '<a b=', ' ', '</', 'x', '<a/>'])
      expect(() => parseXml(`<x>${piece.repeat(200_000 / piece.length)}`, { comments: true })).toThrow(
        XmlFailure,
      )
    expect(performance.now() - started).toBeLessThan(5_000)
  })
})
