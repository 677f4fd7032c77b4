import type { Problem } from '../load.ts'
import styles from './alert.module.css'

export function Alert({ problem }: { problem: Problem }) {
  return (
    <div role="alert" class={styles.alert}>
      <p>{problem.detail}</p>
      {problem.fields && (
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
    </div>
  )
}
