import { useRoute } from 'preact-iso'
import { useEffect, useMemo } from 'preact/hooks'
import { Alert } from '../../ui/alert.tsx'
import { Loaded } from '../../ui/loaded.tsx'
import { StatusPill } from '../../ui/status-pill.tsx'
import { count, duration, Time } from '../../ui/time.tsx'
import { runModel, type Quality, type Run } from './model.ts'
import styles from './page.module.css'

export function RunPage() {
  const id = useRoute().params['id'] ?? ''
  const model = useMemo(() => runModel(id), [id])
  useEffect(() => {
    document.title = 'Run · Weir'
    void model.open()
    return () => model.close()
  }, [model])
  return (
    <Loaded of={model.run}>
      {(run) => (
        <>
          <h1 tabIndex={-1}>
            <a href={`/pipelines/${run.pipelineId}`}>{run.pipelineName}</a> v{run.version}
          </h1>
          <p class={styles.facts} role="status">
            <StatusPill state={run.state} /> <span>created <Time at={run.createdAt} /></span> <span>took {duration(run.durationMs)}</span>
            {model.canCancel.value && (
              <button type="button" onClick={() => void model.cancel()}>
                Cancel this run
              </button>
            )}
          </p>
          {model.problem.value && <Alert problem={model.problem.value} />}
          <Steps run={run} />
          {model.quality.value.length > 0 && <QualityTable results={model.quality.value} />}
        </>
      )}
    </Loaded>
  )
}

function Steps({ run }: { run: Run }) {
  return (
    <table>
      <caption>Steps of {run.id}</caption>
      <thead>
        <tr>
          <th scope="col">Step</th>
          <th scope="col">State</th>
          <th scope="col" data-number>Rows in</th>
          <th scope="col" data-number>Rows out</th>
          <th scope="col" data-number>Rejected</th>
          <th scope="col" data-number>Attempt</th>
          <th scope="col" data-number>Took</th>
        </tr>
      </thead>
      <tbody>
        {run.steps.map((step) => (
          <tr key={step.key}>
            <th scope="row">
              {step.key} <small class={styles.kind}>{step.kind}</small>
              {step.error && <p class={styles.error}>{step.error.message}</p>}
            </th>
            <td>
              <StatusPill state={step.state} />
            </td>
            <td data-number>{count(step.rowsIn)}</td>
            <td data-number>{count(step.rowsOut)}</td>
            <td data-number>{count(step.rowsRejected)}</td>
            <td data-number>{step.attempt}</td>
            <td data-number>{duration(step.durationMs)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

function QualityTable({ results }: { results: Quality[] }) {
  return (
    <>
      <h2>Quality</h2>
      <table>
        <caption>Every rule, with the values that it looked at</caption>
        <thead>
          <tr>
            <th scope="col">Rule</th>
            <th scope="col">Step</th>
            <th scope="col">Result</th>
            <th scope="col" data-number>Checked</th>
            <th scope="col" data-number>Failed</th>
            <th scope="col">Then</th>
          </tr>
        </thead>
        <tbody>
          {results.map((result, index) => (
            <tr key={index}>
              <th scope="row">
                {result.column ? `${result.column} ` : ''}
                {result.rule.replaceAll('_', ' ')}
              </th>
              <td>{result.stepKey}</td>
              <td>
                <StatusPill state={result.passed ? 'succeeded' : result.onFail === 'warn' || result.onFail === 'reject' ? 'succeeded_with_warnings' : 'failed'} />
              </td>
              <td data-number>{count(result.checked)}</td>
              <td data-number>{count(result.failed)}</td>
              <td>{result.onFail}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  )
}
