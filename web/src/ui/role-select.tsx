import type { FieldAttributes } from './form.tsx'
import { roleWords, type RoleChoice } from '../roles.ts'

type RoleSelectProps = { field: FieldAttributes; roles: readonly RoleChoice[]; chosen: string }

export function RoleSelect({ field, roles, chosen }: RoleSelectProps) {
  return (
    <select {...field} required>
      {roles.map((role) => (
        <option key={role.id} value={role.id} selected={role.id === chosen}>
          {roleWords(role)}
        </option>
      ))}
    </select>
  )
}

/** The role that was chosen in a form: one of those that it offered. */
export const chosenRole = (roles: readonly RoleChoice[], id: string): RoleChoice['id'] =>
  roles.find((role) => role.id === id)?.id ?? 'guest'
