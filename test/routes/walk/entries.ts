import { accessEntries } from './access.ts'
import { dataEntries } from './data.ts'
import { peopleEntries } from './people.ts'
import { publicEntries } from './public.ts'
import type { Walked } from './route.ts'
import { runEntries } from './runs.ts'
import { tenantEntries } from './tenant.ts'

/** Every route there is; one that is missing here fails the walk. */
export const entries: readonly Walked[] = [
  ...publicEntries,
  ...dataEntries,
  ...runEntries,
  ...tenantEntries,
  ...peopleEntries,
  ...accessEntries,
]
