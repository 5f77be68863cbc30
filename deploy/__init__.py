"""How Kodama is run: `deploy.local` for one machine; images and manifests for more than one."""
