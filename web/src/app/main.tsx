import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { App } from '@/app/app'
import '@/app/styles.css'
import { browserTransport } from '@/lib/api'
import { Session } from '@/lib/session'
import { takeTokenFromAddress } from '@/lib/token'

const session = new Session()

function signInFromAddress() {
  const token = takeTokenFromAddress()
  if (token !== null) session.begin(token)
}

signInFromAddress()
window.addEventListener('hashchange', signInFromAddress)

const root = document.getElementById('app')
if (!root) throw new Error('index.html has no #app')
createRoot(root).render(
  <StrictMode>
    <App session={session} transport={browserTransport} />
  </StrictMode>,
)
