import { useSignal, type ReadonlySignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { api } from '../browser.ts'
import { may } from '../may.ts'
import { readNames } from '../names.ts'
import { shortId } from './figures.ts'
import { Choice } from './filters.tsx'

export type Names = ReadonlyMap<string, string>

/** The pipelines by name, once they are known. */
export function usePipelineNames(): ReadonlySignal<Names> {
  const names = useSignal<Names>(new Map())
  useEffect(() => void readNames(api, may, ['pipelines']).then((found) => (names.value = found)), [names])
  return names
}

type PipelineChoiceProps = {
  names: Names
  value: string | undefined
  /** What stands for no choice. */
  none?: string
  choose: (id: string) => void
}

/** One of the pipelines, by name. */
export function PipelineChoice({ names, value, none = 'any', choose }: PipelineChoiceProps) {
  const unknown = value === undefined || names.has(value) ? [] : [[value, shortId(value)] as const]
  const byName = [...names].sort(([, one], [, other]) => one.localeCompare(other))
  return (
    <Choice label="Pipeline" value={value} none={none} options={[...unknown, ...byName]} choose={choose} />
  )
}
