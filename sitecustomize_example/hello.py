from hitsave import experiment


@experiment
def fibo(n: int) -> int:
    print(f"computing fibo({n})")
    return 1 if n < 3 else fibo(n - 1) + fibo(n - 2)


print(fibo(10))
