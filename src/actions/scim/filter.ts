import { ScimProblem, type ScimFilter } from '#src/domain/scim.ts'

const mostCharacters = 2_000

/** Parses a filter; what it names is checked where it becomes SQL. */
export async function parseFilter(text: string | undefined): Promise<ScimFilter | undefined> {
  if (text === undefined || text.trim() === '') return undefined
  if (text.length > mostCharacters)
    throw new ScimProblem('malformed', 'invalidFilter', `A filter has at most ${mostCharacters} characters.`)
  const { parse } = await import('./commonjs.ts')
  try {
    return parse(text)
  } catch (cause) {
    throw new ScimProblem('malformed', 'invalidFilter', 'This filter cannot be parsed.', { cause })
  }
}
