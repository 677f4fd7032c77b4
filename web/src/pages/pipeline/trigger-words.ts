import type { Pipeline } from './model.ts'

type Trigger = Exclude<Pipeline['definition']['triggers'][number], { cron: string }>

/** What starts a pipeline, other than a time, in words. */
export function triggerWords(trigger: Trigger): string {
  if ('datasets' in trigger) {
    const { datasets, when } = trigger
    if (datasets.length === 1) return `a new version of the dataset ${datasets.join('')}`
    return `a new version of ${when === 'all' ? 'all' : 'any'} of the datasets ${datasets.join(', ')}`
  }
  if ('webhook' in trigger) return 'an event that is sent to its webhook'
  return `the pipeline ${trigger.pipeline} when it has ${trigger.on.join(' or ')}`
}
