from fer_cli import main

main()
