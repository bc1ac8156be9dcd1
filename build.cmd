@echo off
rem The commands for work on this repository. The script only calls dotnet.
setlocal
cd /d "%~dp0"
set "verb=%~1"
if "%verb%"=="" goto help
if /i "%verb%"=="help" goto help
if "%verb%"=="--help" goto help
if "%verb%"=="-h" goto help

rem All arguments except the first, as typed.
set "arguments="
:collect
shift
if [%1]==[] goto collected
set arguments=%arguments% %1
goto collect
:collected

where dotnet >nul 2>nul || goto nosdk
dotnet --version >nul || goto nosdk

rem Threads that spin while they wait take CPU time from threads that work.
if not defined OMP_WAIT_POLICY set "OMP_WAIT_POLICY=PASSIVE"

if /i "%verb%"=="photos" goto photos
if /i "%verb%"=="demo" goto demo
if /i "%verb%"=="test" goto test
if /i "%verb%"=="bench" goto bench
if /i "%verb%"=="pack" goto pack
if /i "%verb%"=="docs" goto docs
if /i "%verb%"=="format" goto format
call :usage 1>&2
echo There is no verb '%verb%'. Use one of the verbs above. 1>&2
exit /b 1

:photos
dotnet run -c Release --project docs/samples/Photos -- %arguments%
exit /b %errorlevel%

:demo
if not defined OMP_NUM_THREADS set "OMP_NUM_THREADS=1"
dotnet run -c Release --project docs/samples/FashionMnist -- %arguments%
exit /b %errorlevel%

:test
dotnet test -c Release --solution Microsoft.ML.Flooding.sln %arguments%
exit /b %errorlevel%

:bench
dotnet run -c Release --project test/Microsoft.ML.Flooding.Benchmarks -- %arguments%
exit /b %errorlevel%

:pack
dotnet pack -c Release %arguments%
exit /b %errorlevel%

:docs
rem The API reference is made from the built library, its XML documentation and the assemblies that it references. A broken link is an error.
for %%f in (library api site) do if exist artifacts\%%f rmdir /s /q artifacts\%%f
dotnet tool restore || exit /b 1
dotnet publish -c Release -o artifacts/library src/Microsoft.ML.Flooding.Magick || exit /b 1
dotnet publish -c Release -o artifacts/library src/Microsoft.ML.Flooding.Orleans || exit /b 1
dotnet docfx docfx.json --warningsAsErrors %arguments%
exit /b %errorlevel%

:format
dotnet format %arguments%
exit /b %errorlevel%

:nosdk
for /f "tokens=2 delims=:, " %%v in ('findstr /c:"\"version\"" global.json') do set "version=%%~v"
echo No suitable .NET SDK is installed. Install SDK %version% or a later SDK of the same .NET version: https://dotnet.microsoft.com/download 1>&2
exit /b 1

:help
call :usage
exit /b 0

:usage
echo Usage: build VERB [ARGUMENTS]
echo(
echo   photos   train on a folder of photos, test, save and predict (ARGUMENTS: FOLDER [PHOTO])
echo   demo     train on Fashion-MNIST in four ways, find wrong labels, save, load and predict (--help: options)
echo   test     run the tests (ARGUMENTS are passed to dotnet test)
echo   bench    run the benchmarks (ARGUMENTS: rows to run, or photos and folders of photos; --help: list them)
echo   pack     write the NuGet packages to packages/
echo   docs     write the documentation site to artifacts/site (--serve: also serve it on this machine)
echo   format   format the source code (--verify-no-changes: only check it)
exit /b 0
