import { render } from 'preact'
import { App } from './app.tsx'
import { takeSecondStep } from './second-step.ts'
import './styles/tokens.css'
import './styles/base.css'

takeSecondStep()
const root = document.getElementById('app')
if (root) render(<App />, root)
