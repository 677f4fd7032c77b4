import { Problem, problemStatus, type ProblemCode } from '#src/domain/problem.ts'
import { newRoutes } from '#src/http/api.ts'
import { problemTitles } from '#src/http/problems.ts'

const isCode = (text: string): text is ProblemCode => Object.hasOwn(problemTitles, text)

/** Where the `type` of a problem leads. */
export const problemRoutes = newRoutes().get('/problems/:code', (c) => {
  const code = c.req.param('code')
  if (!isCode(code)) throw new Problem('not_found', 'There is no such kind of problem.')
  const body = { code, status: problemStatus[code], title: problemTitles[code] }
  return c.json(body, 200, { 'Cache-Control': 'public, max-age=3600' })
})
