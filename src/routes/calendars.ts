import * as z from 'zod'
import {
  createCalendar,
  deleteCalendar,
  readCalendar,
  readCalendars,
  updateCalendar,
} from '#src/actions/calendars.ts'
import type { Calendar } from '#src/db/calendars.ts'
import { calendarChange, calendarDays } from '#src/domain/calendar.ts'
import { ids } from '#src/domain/id.ts'
import { newRoutes } from '#src/http/api.ts'
import { etagOf, expectedIfSaid, expectedVersions } from '#src/http/etag.ts'
import { created, listQuery, page, pageRequest, single } from '#src/http/reply.ts'
import { valid } from '#src/http/valid.ts'

const newCalendar = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z][a-z0-9_-]{0,62}$/, 'must be 1 to 63 of a-z, 0-9, _ and -, beginning with a letter'),
  ...calendarDays.shape,
})
const oneCalendar = z.object({ id: ids.calendar })

const toJson = ({ id, name, days, createdAt, updatedAt }: Calendar) => ({
  id,
  name,
  ...days,
  createdAt: createdAt.toISOString(),
  updatedAt: updatedAt.toISOString(),
})

export const calendarRoutes = newRoutes()
  .post('/', valid('json', newCalendar), async (c) => {
    const { name, ...days } = c.req.valid('json')
    const made = await createCalendar(c.var.ctx, { name, days })
    c.header('ETag', etagOf(made.version))
    return created(c, `/v1/calendars/${made.id}`, toJson(made))
  })
  .get('/', valid('query', listQuery({})), async (c) =>
    page(c, await readCalendars(c.var.ctx, await pageRequest(c, c.req.valid('query'))), toJson),
  )
  .get('/:id', valid('param', oneCalendar), async (c) => {
    const calendar = await readCalendar(c.var.ctx, c.req.valid('param').id)
    return single(c, toJson(calendar), etagOf(calendar.version))
  })
  .patch('/:id', valid('param', oneCalendar), valid('json', calendarChange), async (c) => {
    const expected = expectedVersions(c)
    const changed = await updateCalendar(c.var.ctx, c.req.valid('param').id, expected, c.req.valid('json'))
    c.header('ETag', etagOf(changed.version))
    return c.json(toJson(changed), 200)
  })
  .delete('/:id', valid('param', oneCalendar), async (c) => {
    await deleteCalendar(c.var.ctx, c.req.valid('param').id, expectedIfSaid(c))
    return c.body(null, 204)
  })
