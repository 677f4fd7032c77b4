import type { Permission } from '#src/domain/role.ts'
import { session } from './browser.ts'

/** Everything that whoever is signed in may do everywhere in the tenant; the server decides, this only shows no more than that. */
export function permissions(): readonly Permission[] {
  const state = session.state.value
  return state.state === 'ready' ? state.value.permissions : []
}

export const may = (wanted: Permission): boolean => permissions().includes(wanted)
