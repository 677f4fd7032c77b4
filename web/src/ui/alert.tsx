import type { ApiProblem } from '../load.ts'
import styles from './alert.module.css'

type AlertProps = { problem: ApiProblem; retry?: () => void; retryWord?: string }

export function Alert({ problem, retry, retryWord = 'Try again' }: AlertProps) {
  return (
    <div role="alert" class={styles.alert}>
      <p>{problem.detail}</p>
      {problem.fields && problem.fields.length > 0 && (
        <ul>
          {problem.fields.map((field) => (
            <li key={`${field.path} ${field.message}`}>
              <code>{field.path}</code>
              {field.line === undefined ? '' : ` (line ${field.line})`}: {field.message}
            </li>
          ))}
        </ul>
      )}
      {problem.requestId && <small>Request {problem.requestId}</small>}
      {retry && (
        <p>
          <button type="button" onClick={retry}>
            {retryWord}
          </button>
        </p>
      )}
    </div>
  )
}
