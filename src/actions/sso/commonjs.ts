/** A package of CommonJS: an `import()` of it by its own name finds no names in it once the program is built. */
export { getVerifiedXml, parseDomFromString } from '@node-saml/node-saml/lib/xml.js'
