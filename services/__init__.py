"""The deployables of Kodama: one folder per service, which meet only through gRPC and the ledger of work."""
