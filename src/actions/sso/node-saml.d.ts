/** The two functions of the library's that are used: its own types want a browser's. */
declare module '@node-saml/node-saml/lib/xml.js' {
  export type DomElement = { readonly localName: string | null; readonly childNodes: ArrayLike<DomElement> }
  export function parseDomFromString(xml: string): Promise<{ readonly documentElement: DomElement }>
  /** The bytes that the signature in this element is about; null when no certificate has made it. */
  export function getVerifiedXml(xml: string, element: DomElement, pems: string[]): string | null
}
